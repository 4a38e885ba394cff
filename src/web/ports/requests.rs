//! What apps ask for before a person answers: pushed requests, and the codes of devices.

use core::future::Future;

use super::{StoreError, Write};
use crate::domain::{
    id::{GrantId, UserId},
    network::NetworkHash,
    oauth::{
        authorization_request::AuthorizationRequest,
        code::RefreshTokenRow,
        device::{DeviceCodeRow, Pace, UserCode},
        pushed_request::PushedRow,
    },
    secret::{DeviceCode, PushedRequest, SecretHash},
    time::Timestamp,
};

/// Table `pushed_requests` (RFC 9126).
pub trait PushedRequests {
    /// Stores what an app pushed from `network`. Where as many wait (`used_at IS NULL AND expires_at > now`) as may, of the client's or of
    /// all, one of those goes: the oldest of the network that has left the most of them, the new one counted.
    fn push_request(
        &self,
        handle: &SecretHash<PushedRequest>,
        request: &AuthorizationRequest,
        network: &NetworkHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The request under this handle, whether used, expired or open.
    fn find_pushed_request(
        &self,
        handle: &SecretHash<PushedRequest>,
    ) -> impl Future<Output = Result<Option<PushedRow>, StoreError>> + Send;

    /// Somebody came with it who has to sign in first: it lives on until `expires_at`. Once, under the condition `used_at IS NULL AND
    /// opened_at IS NULL AND expires_at > now`. [`Write::Lost`]: nothing was changed; it may be alive all the same.
    fn open_pushed_request(
        &self,
        handle: &SecretHash<PushedRequest>,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Uses it up, under the condition `used_at IS NULL AND expires_at > now`. [`Write::Lost`]: somebody else did, or it is too late.
    fn use_pushed_request(
        &self,
        handle: &SecretHash<PushedRequest>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;
}

/// What became of a user code that a person entered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Entered {
    /// It is open: this is what it stands for.
    Open(Box<DeviceCodeRow>),
    /// It isn't there, is over, or was answered. The attempt was counted.
    Wrong,
    /// This person has entered too many wrong ones; whether this is one was not looked at.
    TooMany,
}

/// Tables `device_codes`, `device_guesses` (RFC 8628).
pub trait DeviceCodes {
    /// Stores a new code that was asked for from `network`. Where `MAX_OPEN_CODES_OF_CLIENT` of its client's or `MAX_OPEN_CODES` of all
    /// codes are open, one of those goes: the oldest of the network that has left the most of them, the new one counted.
    /// [`Write::Lost`]: its user code is taken.
    fn insert_device_code(
        &self,
        row: &DeviceCodeRow,
        network: &NetworkHash,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// A code, however far it has come.
    fn find_device_code(
        &self,
        hash: &SecretHash<DeviceCode>,
    ) -> impl Future<Output = Result<Option<DeviceCodeRow>, StoreError>> + Send;

    /// What a person entered: one batch that looks the code up and, if it isn't an open one, counts the attempt; neither when the person
    /// has entered `MAX_WRONG_CODES` wrong ones within `GUESS_WINDOW_SECONDS`.
    fn enter_user_code(
        &self,
        user: &UserId,
        code: &UserCode,
        now: Timestamp,
    ) -> impl Future<Output = Result<Entered, StoreError>> + Send;

    /// Notes a poll, if none was noted since `seen` was read.
    fn note_poll(
        &self,
        hash: &SecretHash<DeviceCode>,
        seen: Pace,
        next: Pace,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;

    /// Uses an allowed code up, as `Grants::redeem_code` does, under the condition
    /// `device_code_hash = ? AND client_id = ? AND grant_id IS NOT NULL AND redeemed_at IS NULL AND expires_at > now`.
    fn redeem_device_code(
        &self,
        row: &DeviceCodeRow,
        grant: &GrantId,
        refresh: Option<&RefreshTokenRow>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Write, StoreError>> + Send;
}
