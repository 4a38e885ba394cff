//! What every kind of answer has to say about its use.

use super::{super::json::Json, Usage, tokens::Absurd};

/// How an answer ended. Of two that are seen, the greater one holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It stopped without a word.
    #[default]
    Broken,
    /// As it should: the JSON is whole, the stream says that it is over.
    Proper,
    /// With an error that the provider reported within it.
    Failed,
}

/// What one kind of answer says about its usage.
pub(super) trait Reader: std::fmt::Debug {
    /// The members at the top that it wants to see, of a JSON answer or of an event.
    fn members(&self, is_stream: bool) -> &'static [&'static str];

    /// The words of which an event must mention one, or it says nothing; see [`mentions`].
    fn words(&self) -> &'static [&'static str];

    /// Reads a JSON answer, of which only those members are left.
    ///
    /// # Errors
    /// [`Absurd`] when something that counts can't be read or believed.
    fn json(&mut self, answer: &Json) -> Result<(), Absurd>;

    /// Reads an event, of which only those members are left.
    ///
    /// # Errors
    /// [`Absurd`], as above.
    fn event(&mut self, event: &Json) -> Result<(), Absurd>;

    /// The stream said `[DONE]`.
    fn done(&mut self) {}

    /// What was read, and whether the answer said that it is over, or that it failed. The counts need not be checked yet.
    fn said(&self) -> Said;
}

/// What a [`Reader`] has read.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) usages: Vec<Usage>,
    /// The usages are all there is.
    pub(super) is_final: bool,
    pub(super) end: End,
}
