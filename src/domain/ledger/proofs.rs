//! Which `DPoP` proofs were used before (RFC 9449 §11.1): each lets at most one call ask, and that is decided where the call is.
//!
//! Only memory knows them. So that losing it lets no proof be used twice, every proof carries a nonce of the server (RFC 9449 §9), and
//! the ledger tells what it may have forgotten by when that nonce was made:
//! - at a time `t` only nonces made before `t` + [`MARGIN_SECONDS`] are accepted;
//! - a memory that begins at `t` accepts none made before `t` + [`MARGIN_SECONDS`], so none that an earlier one can have accepted;
//! - what is dropped, because its nonce has run out or there are too many, is older than what is accepted from then on.
//!
//! A ledger of which nothing is stored is the exception: it begins with nothing forgotten. It may have been in memory before, but no
//! answer has left it: where it lets a call through, or remembers a proof and refuses, it stores its summary first, and is found to be
//! one that has lost its memory. So the first call of a new grant costs no extra round trip, and a proof of a call that the ledger
//! refused can't be sent again with another body, which no proof covers. (A call that is refused before it comes here, since it can't be
//! read, uses nothing up: its proof still lets one call ask.)

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    super::{
        encoding::{base64url, from_base64url},
        time::Timestamp,
    },
    command::Refusal,
};

/// Seconds that a nonce is good for.
pub const NONCE_SECONDS: u64 = 300;

/// Seconds that a nonce can lie ahead of the ledger's clock: for the clocks of the machines, and for a nonce that has to be newer than
/// whatever was forgotten.
pub const MARGIN_SECONDS: u64 = 1;

/// Most proofs that are remembered.
pub const MAX_PROOFS: usize = 65_536;

/// A proof, by a hash of its `jti`. In JSON base64url.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProofId(pub [u8; 16]);

/// Text that can't be a [`ProofId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a proof: expected 16 bytes in base64url")]
pub struct InvalidProofId;

impl TryFrom<String> for ProofId {
    type Error = InvalidProofId;
    fn try_from(text: String) -> Result<Self, InvalidProofId> {
        from_base64url(&text).and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(InvalidProofId)
    }
}

impl From<ProofId> for String {
    fn from(id: ProofId) -> Self {
        base64url(&id.0)
    }
}

/// A `DPoP` proof that comes with a call. Its signature and everything else that it says were checked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofUse {
    /// Which.
    pub id: ProofId,
    /// When the server made the nonce that it carries, in milliseconds since the epoch.
    pub nonce_at: Timestamp,
}

/// The proofs that were used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proofs {
    /// Proofs with older nonces may have been used and forgotten. `None`: the memory before this one may have seen anything.
    floor: Option<Timestamp>,
    seen: BTreeMap<ProofId, Timestamp>,
    /// The same by the time of their nonces.
    by_nonce: BTreeSet<(Timestamp, ProofId)>,
}

impl Proofs {
    /// Where nothing is forgotten.
    pub(super) fn of_a_new_ledger() -> Self {
        Self { floor: Some(Timestamp::default()), ..Self::default() }
    }

    /// Where a memory was lost.
    pub(super) fn of_a_restored_ledger() -> Self {
        Self::default()
    }

    /// To be called with every command: the first one says when this memory began.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.floor.get_or_insert_with(|| now.plus_seconds(MARGIN_SECONDS));
    }

    /// Remembers a proof. `now` never goes back.
    ///
    /// # Errors
    /// [`Refusal::ProofTooOld`], [`Refusal::ProofReplayed`].
    pub(super) fn admit(&mut self, proof: &ProofUse, now: Timestamp) -> Result<(), Refusal> {
        self.begin(now);
        let run_out = now.millis().saturating_sub(NONCE_SECONDS.saturating_mul(1000));
        self.forget_before(Timestamp::from_millis(run_out));
        let is_ahead = proof.nonce_at >= now.plus_seconds(MARGIN_SECONDS);
        if is_ahead || proof.nonce_at < self.floor() {
            return Err(Refusal::ProofTooOld { floor: self.floor().max(now) });
        }
        if self.seen.contains_key(&proof.id) {
            return Err(Refusal::ProofReplayed);
        }
        while self.seen.len() >= MAX_PROOFS
            && let Some((oldest, _)) = self.by_nonce.first().copied()
        {
            self.forget_before(oldest.plus_millis(1));
        }
        if proof.nonce_at < self.floor() {
            return Err(Refusal::ProofTooOld { floor: self.floor().max(now) });
        }
        self.seen.insert(proof.id, proof.nonce_at);
        self.by_nonce.insert((proof.nonce_at, proof.id));
        Ok(())
    }

    fn floor(&self) -> Timestamp {
        self.floor.unwrap_or_default()
    }

    fn forget_before(&mut self, floor: Timestamp) {
        self.floor = Some(self.floor().max(floor));
        while let Some((nonce_at, id)) = self.by_nonce.first().copied()
            && nonce_at < floor
        {
            self.by_nonce.pop_first();
            self.seen.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 2023-11-14T22:13:20Z.
    const START: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn proof(id: u64, nonce_at: Timestamp) -> ProofUse {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&id.to_be_bytes());
        ProofUse { id: ProofId(bytes), nonce_at }
    }

    fn restored(now: Timestamp) -> Proofs {
        let mut proofs = Proofs::of_a_restored_ledger();
        proofs.begin(now);
        proofs
    }

    #[test]
    fn a_proof_is_accepted_once() {
        let mut proofs = Proofs::of_a_new_ledger();
        assert_eq!(proofs.admit(&proof(1, START), START), Ok(()));
        assert_eq!(proofs.admit(&proof(1, START), START), Err(Refusal::ProofReplayed));
        assert_eq!(proofs.admit(&proof(2, START), START), Ok(()));
    }

    #[test]
    fn a_jti_that_comes_back_with_another_nonce_is_a_replay() {
        let mut proofs = Proofs::of_a_new_ledger();
        proofs.admit(&proof(1, START), START).unwrap();
        let later = START.plus_seconds(5);
        assert_eq!(proofs.admit(&proof(1, later), later), Err(Refusal::ProofReplayed));
    }

    #[test]
    fn a_nonce_is_refused_once_its_time_has_run_out() {
        let mut proofs = Proofs::of_a_new_ledger();
        let last = START.plus_seconds(NONCE_SECONDS);
        assert_eq!(proofs.admit(&proof(1, START), last), Ok(()));
        let over = last.plus_millis(1);
        assert_eq!(proofs.admit(&proof(2, START), over), Err(Refusal::ProofTooOld { floor: over }));
        assert_eq!(proofs.admit(&proof(1, START), over), Err(Refusal::ProofTooOld { floor: over }));
        assert!(proofs.seen.is_empty(), "and then it is forgotten");
    }

    #[test]
    fn after_a_restart_only_nonces_that_are_newer_than_it_are_accepted() {
        let mut proofs = restored(START);
        let floor = START.plus_seconds(MARGIN_SECONDS);
        let just_before = Timestamp::from_millis(floor.millis() - 1);
        assert_eq!(proofs.admit(&proof(1, just_before), START), Err(Refusal::ProofTooOld { floor }));
        assert_eq!(proofs.admit(&proof(1, floor), START.plus_millis(1)), Ok(()));
    }

    #[test]
    fn a_nonce_made_at_the_time_that_a_refusal_names_is_accepted() {
        for mut proofs in [restored(START), Proofs::of_a_new_ledger()] {
            let Err(Refusal::ProofTooOld { floor }) = proofs.admit(&proof(1, Timestamp::default()), START) else {
                panic!()
            };
            assert_eq!(proofs.admit(&proof(1, floor), START.plus_millis(1)), Ok(()));
        }
    }

    #[test]
    fn a_nonce_from_too_far_ahead_is_refused_and_the_clock_of_the_ledger_is_named() {
        let mut proofs = Proofs::of_a_new_ledger();
        let ahead = START.plus_seconds(MARGIN_SECONDS);
        assert_eq!(proofs.admit(&proof(1, ahead), START), Err(Refusal::ProofTooOld { floor: START }));
    }

    #[test]
    fn when_too_many_are_remembered_the_oldest_nonces_run_out_early() {
        let mut proofs = Proofs::of_a_new_ledger();
        let at = |number: usize| START.plus_millis(number as u64 / 2);
        let now = START.plus_seconds(200);
        for number in 0..MAX_PROOFS {
            proofs.admit(&proof(number as u64, at(number)), now).unwrap();
        }
        proofs.admit(&proof(u64::MAX, now), now).unwrap();
        assert_eq!(proofs.seen.len(), MAX_PROOFS - 1, "the two of the oldest nonce made room");
        assert_eq!(proofs.admit(&proof(0, at(0)), now), Err(Refusal::ProofTooOld { floor: now }));
        assert_eq!(proofs.admit(&proof(2, at(2)), now), Err(Refusal::ProofReplayed));
    }

    #[test]
    fn one_nonce_for_everything_does_not_make_it_forget() {
        let mut proofs = Proofs::of_a_new_ledger();
        for number in 0..MAX_PROOFS as u64 {
            proofs.admit(&proof(number, START), START).unwrap();
        }
        let floor = START.plus_millis(1);
        assert_eq!(proofs.admit(&proof(u64::MAX, START), START), Err(Refusal::ProofTooOld { floor }));
        assert_eq!(proofs.admit(&proof(0, START), START), Err(Refusal::ProofTooOld { floor }));
        assert!(proofs.seen.is_empty() && proofs.by_nonce.is_empty());
    }

    #[test]
    fn a_proof_is_read_from_16_bytes_in_base64url_alone() {
        let text = base64url(&[255; 16]);
        assert_eq!(ProofId::try_from(text.clone()), Ok(ProofId([255; 16])));
        assert_eq!(String::from(ProofId([255; 16])), text);
        for text in [String::new(), base64url(&[1; 15]), base64url(&[1; 17]), "*".repeat(22), format!("{text}==")] {
            assert_eq!(ProofId::try_from(text.clone()), Err(InvalidProofId), "{text}");
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Which proof, and how many milliseconds after the start its nonce was made, or as the last refusal said.
        Use(u64, Option<u64>),
        Later(u64),
        Restart,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => (0..12_u64, prop::option::of(0..700_000_u64)).prop_map(|(id, at)| Step::Use(id, at)),
            3 => (0..5_u64).prop_map(Step::Later),
            2 => (5..200_000_u64).prop_map(Step::Later),
            2 => Just(Step::Restart),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// A proof is its bytes: its `jti` and its nonce. It is accepted once, however often the memory is lost.
        #[test]
        fn no_order_of_uses_and_restarts_lets_a_proof_in_twice(steps in prop::collection::vec(step(), 1..80)) {
            let (mut proofs, mut now, mut fresh) = (Proofs::of_a_new_ledger(), START, START);
            let mut accepted = BTreeSet::new();
            let mut made = Vec::new();
            for step in steps {
                match step {
                    Step::Later(millis) => now = now.plus_millis(millis),
                    Step::Restart => proofs = restored(now),
                    Step::Use(id, at) => {
                        made.push(proof(id, at.map_or(fresh, |at| START.plus_millis(at))));
                        // Everything that was ever sent is sent again.
                        for proof in &made {
                            match proofs.admit(proof, now) {
                                Ok(()) => prop_assert!(accepted.insert((proof.id, proof.nonce_at)), "{proof:?} twice"),
                                Err(Refusal::ProofTooOld { floor }) => fresh = floor,
                                Err(other) => prop_assert_eq!(other, Refusal::ProofReplayed),
                            }
                        }
                        prop_assert_eq!(proofs.seen.len(), proofs.by_nonce.len());
                    }
                }
            }
        }
    }
}
