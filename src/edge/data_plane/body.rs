//! The body of a call: read into the wasm's memory once, after everything that can be known without it, and handed on from there.
//!
//! At no moment does it lie twice in the isolate, but for the piece that is on its way: in JavaScript it comes and goes in pieces, and
//! what is set in it is set in place (`gateway::splice`). Its buffer is made once, as long as the body says that it is.

use std::{cell::RefCell, rc::Rc};

use js_sys::Uint8Array;
use wasm_bindgen::{JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;

use super::{admission::Memory, inbound::Inbound};
use crate::{
    edge::{
        js::{self, Incoming},
        settings::{Patience, Settings},
    },
    gateway::{Failure, MAX_BODY_BYTES, MAX_EDIT_BYTES, Method},
};

/// From this length on the ledger is looked at before a body is read.
pub const LARGE_BODY_BYTES: usize = 1024 * 1024;
/// A body up to this length goes upstream in one piece, which costs less.
const WHOLE_BYTES: usize = 64 * 1024;
/// The longest piece that the platform hands over (`calls.mjs`).
const PIECE_BYTES: usize = 64 * 1024;

/// A body that was read, and the memory that it takes.
#[derive(Debug)]
pub struct Body {
    /// What came, with room for what is set in it.
    pub bytes: Vec<u8>,
    memory: Memory,
}

/// How a body is read: first what needs no look at the ledger, then the rest.
pub struct Reading<'a> {
    inbound: &'a Inbound,
    settings: &'a Settings,
    /// `None`: nobody said.
    declared: Option<usize>,
}

impl<'a> Reading<'a> {
    /// Of a call that has a body.
    ///
    /// # Errors
    /// [`Failure::BodyTooLarge`], by what it says of itself.
    pub fn of(inbound: &'a Inbound, settings: &'a Settings) -> Result<Option<Self>, Failure> {
        if inbound.planned_method() != Some(Method::Post) {
            return Ok(None);
        }
        let declared = inbound.header("content-length").and_then(|length| length.parse::<u64>().ok());
        let declared = declared.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        match declared {
            Some(length) if length > MAX_BODY_BYTES => Err(Failure::BodyTooLarge),
            None if inbound.raw.body().is_none() => Ok(None),
            _ => Ok(Some(Self { inbound, settings, declared })),
        }
    }

    /// Whether it is known to be so long that the ledger should be looked at first.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.declared.is_some_and(|length| length > LARGE_BODY_BYTES)
    }

    /// Reads it. `look`: what is done before more than [`LARGE_BODY_BYTES`] of a body are read whose length nobody said; such a one
    /// counts as the longest that may come.
    ///
    /// # Errors
    /// [`Failure::BodyTooLarge`], [`Failure::BodyTimeout`], [`Failure::BrokerBusy`], [`Failure::InvalidRequest`] when it breaks off,
    /// and those of `look`.
    pub async fn read(self, look: impl AsyncFnOnce() -> Result<(), Failure>) -> Result<Body, Failure> {
        let most = self.declared.unwrap_or(LARGE_BODY_BYTES);
        let (memory, bytes) = self.room(most)?;
        let Patience { idle_seconds, seconds } = self.settings.body_patience;
        let incoming = js::incoming(&self.inbound.raw, idle_seconds, seconds);
        let mut body = Body { bytes, memory };
        if let Some(declared) = self.declared {
            body.take(&incoming, declared).await?;
        } else if !body.take(&incoming, LARGE_BODY_BYTES).await? {
            let rest = async {
                look().await?;
                self.room(MAX_BODY_BYTES)
            };
            let (memory, mut longer) = rest.await.inspect_err(|_| incoming.give_up())?;
            longer.extend_from_slice(&body.bytes);
            body = Body { bytes: longer, memory };
            body.take(&incoming, MAX_BODY_BYTES).await?;
        }
        if body.bytes.len() > MAX_BODY_BYTES {
            incoming.give_up();
            return Err(Failure::BodyTooLarge);
        }
        Ok(body)
    }

    /// Memory for a body of that length, and an empty buffer that needs not grow.
    fn room(&self, length: usize) -> Result<(Memory, Vec<u8>), Failure> {
        // One piece more may come before it is seen that the body is too long.
        let capacity = length.saturating_add(PIECE_BYTES).saturating_add(MAX_EDIT_BYTES);
        let memory = Memory::take(u64::try_from(length).unwrap_or(u64::MAX), self.settings)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(capacity).map_err(|_| Failure::BrokerBusy)?;
        Ok((memory, bytes))
    }
}

impl Body {
    /// Takes what comes until it ends, or until it is longer than `most`. Whether it has ended.
    async fn take(&mut self, incoming: &Incoming, most: usize) -> Result<bool, Failure> {
        let taken = Rc::new(RefCell::new(core::mem::take(&mut self.bytes)));
        let into = Rc::clone(&taken);
        let take: Closure<dyn FnMut(Uint8Array) -> u32> = Closure::new(move |piece: Uint8Array| {
            let mut bytes = into.borrow_mut();
            bytes.extend_from_slice(&piece.to_vec());
            short(bytes.len())
        });
        let came = JsFuture::from(incoming.read(short(most), &take)).await;
        self.bytes = taken.take();
        match came.ok().and_then(|came| came.as_string()).as_deref() {
            Some("end") => Ok(true),
            Some("more") => Ok(false),
            Some("late") => Err(Failure::BodyTimeout),
            _ => Err(Failure::InvalidRequest("the body breaks off".to_owned())),
        }
    }

    /// For `calls.mjs`: a short body whole, of a longer one what hands it out piece by piece, and frees it behind the last.
    #[must_use]
    pub fn into_outgoing(self) -> Outgoing {
        let length = short(self.bytes.len());
        if self.bytes.len() <= WHOLE_BYTES {
            return Outgoing {
                value: Uint8Array::from(self.bytes.as_slice()).into(),
                length,
                memory: Some(self.memory),
            };
        }
        let mut body = Some(self);
        let hand_out: Closure<dyn FnMut(u32) -> JsValue> = Closure::new(move |from: u32| {
            let from = usize::try_from(from).unwrap_or(usize::MAX);
            let rest = body.as_ref().and_then(|body| body.bytes.get(from..)).unwrap_or_default();
            if rest.is_empty() {
                body = None;
                return JsValue::UNDEFINED;
            }
            let piece = rest.get(..PIECE_BYTES).unwrap_or(rest);
            Uint8Array::from(piece).into()
        });
        Outgoing { value: hand_out.into_js_value(), length, memory: None }
    }
}

/// A body on its way upstream.
#[derive(Debug)]
pub struct Outgoing {
    /// Its bytes, or the function that hands them out.
    pub value: JsValue,
    /// How many.
    pub length: u32,
    /// Of one that goes whole: until the provider begins to answer.
    #[expect(dead_code, reason = "it is given back when it is dropped")]
    memory: Option<Memory>,
}

/// A length that is bounded by that of a body.
fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
