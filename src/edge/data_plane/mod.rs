//! The life of a call: token → plan → ledger → provider → answer → ledger.
//!
//! `entry.mjs` has the platform keep a call alive when its client goes away: no hold is left to its deadline that could have been
//! settled.

mod admission;
mod answer;
mod body;
mod booking;
mod head;
mod inbound;
mod outbound;
mod proof;
mod room;
mod tokens;
mod upstream;
mod waits;

use std::rc::Rc;

use wasm_bindgen::JsValue;
use web_sys::Response;
use worker::{Context, Env};

use admission::Waiting;
use answer::Answer;
use body::{Body, Reading};
use booking::{Booking, Made};
pub use inbound::{Facts, Inbound, provider_of};
use proof::Proven;
use room::{Asked, NoRoom, Room};
use upstream::{Outcome, Outgoing};

use super::{
    clock, entropy, ledgers, log,
    settings::{Settings, Upstream},
};
use crate::{
    domain::{
        access_token::AccessClaims,
        id::GrantId,
        ledger::{Command, Reason, Reply, covered},
        permission::intersection,
        time::Timestamp,
    },
    gateway::{
        self, Edit, Failure, Request, Sent,
        challenge::{Challenge, token_was_sent},
        headers::{Presented, asks_for_websocket},
    },
    web::protected_resource,
};

/// Serves a call.
///
/// # Errors
/// The platform refused to build an answer.
pub async fn serve(inbound: Inbound, env: Env, context: Rc<Context>) -> Result<Response, JsValue> {
    let request_id = entropy::request_id();
    if inbound.method == "OPTIONS" {
        return outbound::preflight(&inbound, &request_id);
    }
    Call { inbound, env, context, request_id }.answer().await
}

struct Call {
    inbound: Inbound,
    env: Env,
    context: Rc<Context>,
    request_id: String,
}

impl Call {
    async fn answer(&self) -> Result<Response, JsValue> {
        let began = clock::now();
        let mut entry = log::Entry {
            request_id: Some(self.request_id.clone()),
            method: log::cut(&self.inbound.method),
            path: log::cut(&self.inbound.path),
            provider: Some(self.inbound.provider),
            ..log::Entry::default()
        };
        let presented = gateway::headers::token(|name| self.inbound.header(name).map(str::to_owned));
        let settings = Settings::get(&self.env).map_err(|error| unavailable(&mut entry, &error));
        let outcome = match &settings {
            // Before the token is looked at: the answer is the same for everybody and says nothing of anybody. Coding agents try a
            // WebSocket first, and go on over HTTP at once after a 426, where they learn what their token is worth; after a 403 or 404
            // they try it again for seconds.
            _ if asks_for_websocket(&self.inbound.method, self.inbound.header("upgrade")) => Err(Failure::WebSocket),
            Ok(settings) => self.carry_out(presented.as_ref(), settings, began, &mut entry).await,
            Err(failure) => Err(failure.clone()),
        };
        let answer = match outcome {
            Ok(answer) => answer,
            Err(failure) => {
                entry.error = Some(failure.code().as_str());
                if let (Some(reason), Some(grant_id)) = (failure.reason_before_the_ledger(), &entry.grant_id) {
                    self.note_refusal(grant_id.clone(), reason, String::new());
                }
                let origin = self.inbound.origin.as_str();
                let issuer = settings.as_ref().map_or(origin, |settings| settings.issuer(origin));
                let challenge = Challenge {
                    resource_metadata: &protected_resource::address(issuer, Some(self.inbound.provider)),
                    scope: &protected_resource::scopes(self.inbound.provider).collect::<Vec<_>>().join(" "),
                    token_was_sent: token_was_sent(|name| self.inbound.header(name).map(str::to_owned)),
                };
                let nonce = settings.as_ref().ok().and_then(|settings| proof::nonce_for(&failure, settings));
                outbound::refusal(&failure, self.inbound.provider, &self.request_id, &challenge, nonce.as_deref())?
            }
        };
        entry.status = answer.status();
        entry.ms = clock::now().millis().saturating_sub(began.millis());
        log::write(&entry);
        Ok(answer)
    }

    async fn carry_out(
        &self,
        presented: Option<&Presented>,
        settings: &Rc<Settings>,
        began: Timestamp,
        entry: &mut log::Entry,
    ) -> Result<Response, Failure> {
        let (claims, proven) = self.caller(presented, settings, entry).await?;
        let provider = self.inbound.provider;
        let request = Request {
            provider,
            method: self.inbound.planned_method(),
            path: self.inbound.provider_path(),
            query: self.inbound.query.as_deref(),
        };
        let route = request.route()?;
        let waiting = Waiting::take(&claims.grant_id, settings)?;
        let mut body = self.body(&claims, settings, entry).await?;
        let bytes: &[u8] = body.as_ref().map_or(&[], |body| &body.bytes);
        let sent = Sent { body: bytes, content_type: self.inbound.header("content-type") };
        let plan = route.plan(sent, &settings.prices)?;
        let upstream = settings.upstream(provider).ok_or(Failure::ProviderNotConfigured(provider))?;
        let model = plan.claim.need.model();
        if let Some(seconds) = waits::seconds_left(&claims.grant_id, provider, &model) {
            return Err(Failure::ProviderBusy(provider, seconds));
        }
        let listed = claims.narrowed.as_deref().map(|own| covered(own, &plan.claim)).transpose();
        let listed = listed.map_err(|refusal| {
            if let Some(reason) = Reason::of(&refusal) {
                self.note_refusal(claims.grant_id.clone(), reason, model.clone());
            }
            Failure::Refused(refusal)
        })?;

        let asked = Asked {
            claim: &plan.claim,
            hold_ttl_seconds: settings.hold_ttl_seconds,
            ahead: settings.ahead_calls,
            delegation: claims.delegation.clone(),
            proof: proven.as_ref().map(|proven| proven.used),
            issued_at: claims.issued_at,
        };
        let Room { mut reservation, account } = match asked.take(&claims.grant_id, &claims.subject).await {
            Ok(room) => room,
            Err(NoRoom::Refused(failure)) => return Err(failure),
            Err(NoRoom::Unavailable(reason)) => return Err(unavailable(entry, &reason)),
        };
        // A token that was narrowed allows no more than what it carries.
        if let Some(listed) = listed {
            reservation.models = intersection(&listed, &reservation.models);
        }
        drop(waiting);
        let edit = match &mut body {
            Some(body) => plan.edit(&mut body.bytes, reservation.output_tokens),
            None => Ok(Edit::default()),
        };
        let made =
            Made { meterage: plan.meterage, endpoint: plan.claim.endpoint, began, request_id: self.request_id.clone() };
        let booking = Booking::new(claims.grant_id, (&reservation, account), Rc::clone(settings), made);
        let edit = match edit {
            Ok(edit) => edit,
            Err(failure) => {
                booking.release().await;
                return Err(failure);
            }
        };
        let timeout = settings.upstream_timeout_seconds;
        let (content_type, target, is_capped) = (&*plan.content_type, &*plan.target, reservation.is_capped());
        let outgoing = Outgoing { body: body.map(Body::into_outgoing), content_type, target, is_capped };
        let outcome = upstream::call(&self.inbound, outgoing, booking.grant_id(), upstream, timeout).await;
        match outcome {
            Outcome::Answered(given) => {
                entry.upstream_request_id =
                    ["x-request-id", "request-id"].iter().find_map(|name| given.headers.get(name)).map(str::to_owned);
                let answer = Answer {
                    given,
                    patience: settings.answer_patience,
                    response: plan.response,
                    strips_usage: edit.strips_usage,
                    reservation: &reservation,
                    next_nonce: proven.and_then(|proven| proven.next_nonce),
                    upstream,
                };
                self.pass_on(answer, booking).await
            }
            unanswered => Err(self.unanswered(unanswered, booking, upstream, entry).await),
        }
    }

    /// Who calls, by their token and its proof: all that is known before anything of the body is read.
    async fn caller(
        &self,
        presented: Option<&Presented>,
        settings: &Settings,
        entry: &mut log::Entry,
    ) -> Result<(AccessClaims, Option<Proven>), Failure> {
        let presented = presented.ok_or(Failure::InvalidToken)?;
        let issuer = settings.issuer(&self.inbound.origin);
        let claims =
            tokens::verify(&settings.signing_keys, &presented.token, issuer, clock::now()).map_err(|error| {
                entry.detail = Some(error.to_string());
                Failure::InvalidToken
            })?;
        entry.grant_id = Some(claims.grant_id.clone());
        entry.client_id = Some(claims.client_id.clone());

        if !claims.is_for(issuer, &format!("{issuer}{}", self.inbound.provider.base_path())) {
            entry.detail = Some("for another resource".to_owned());
            return Err(Failure::InvalidToken);
        }
        let proven = proof::check(&self.inbound, presented, &claims, issuer, &settings.nonces, clock::now()).await?;
        Ok((claims, proven))
    }

    /// The body, where the call has one. Before a large one is read, the ledger says whether any call could be let through: a token of a
    /// grant that has ended makes the broker read nothing.
    async fn body(
        &self,
        claims: &AccessClaims,
        settings: &Settings,
        entry: &mut log::Entry,
    ) -> Result<Option<Body>, Failure> {
        let Some(reading) = Reading::of(&self.inbound, settings)? else { return Ok(None) };
        let mut look = async || {
            let (provider, delegation) = (self.inbound.provider, claims.delegation.clone());
            match ledgers::send(&claims.grant_id, &Command::Look { provider, delegation }).await {
                Ok(Reply::Done) => Ok(()),
                Ok(Reply::Refused(refusal)) => Err(Failure::Refused(refusal)),
                Ok(other) => Err(unavailable(entry, &format!("unexpected reply {other:?}"))),
                Err(error) => Err(unavailable(entry, &error)),
            }
        };
        if reading.is_large() {
            look().await?;
        }
        reading.read(look).await.map(Some)
    }

    /// What a call gets that the provider didn't answer, and its booking.
    async fn unanswered(
        &self,
        outcome: Outcome,
        booking: Booking,
        upstream: &Upstream,
        entry: &mut log::Entry,
    ) -> Failure {
        let provider = self.inbound.provider;
        match outcome {
            Outcome::Unsent(reason) => {
                entry.detail = Some(log::cut(&upstream::redacted(&reason, upstream)));
                booking.release().await;
                Failure::UpstreamUnreachable(provider)
            }
            Outcome::Lost(reason) => {
                entry.detail = Some(log::cut(&upstream::redacted(&reason, upstream)));
                booking.settle_at_bound(0).await;
                Failure::UpstreamUnreachable(provider)
            }
            Outcome::TimedOut | Outcome::Abandoned | Outcome::Answered(_) => {
                booking.settle_at_bound(0).await;
                Failure::UpstreamTimeout(provider)
            }
        }
    }
}

impl Call {
    /// Tells the ledger of a call that was refused before it came there, behind the answer's back. One that gets lost is no harm.
    fn note_refusal(&self, grant_id: GrantId, reason: Reason, model: String) {
        self.context.wait_until(async move {
            let _ = ledgers::send_soon(&grant_id, &Command::NoteRefusal { reason, model }).await;
        });
    }
}

fn unavailable(entry: &mut log::Entry, reason: &dyn core::fmt::Display) -> Failure {
    entry.detail = Some(log::cut(&reason.to_string()));
    Failure::BrokerUnavailable
}
