//! Reading an answer of any kind as it passes.

use super::{
    super::json::Json,
    Usage, audio, chat, embeddings, images, messages,
    reader::{End, Reader, Said},
    responses,
    skim::Skimmer,
    sse::Scanner,
    tokens::{Absurd, checked, mentions},
};

/// What kind of answer an endpoint gives, as far as its usage goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerKind {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// OpenAI's embeddings.
    Embeddings,
    /// OpenAI's images, made or edited.
    Images,
    /// OpenAI's transcriptions and translations.
    Transcription,
    /// OpenAI's speech. Only its streams of events say what was used; sound does not.
    Speech,
    /// Anthropic's messages.
    Messages,
    /// Costs nothing: moderations, counting tokens, models.
    Free,
}

/// What an answer said about what it used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What was used.
    pub used: Used,
    /// How the answer ended.
    pub end: End,
}

/// What was used. The first entry is for the model that answered; more entries follow where other models, or calls beside the main
/// one, are billed apart (an advisor, a compaction, an image tool). Each has its price by its own [`Usage::model`]; one that names no
/// model goes by the model of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Used {
    /// All of it, exactly; at least one entry.
    Complete(Vec<Usage>),
    /// At least this: the answer broke off before it said all, or ran something that it doesn't count. At least one entry.
    Partial(Vec<Usage>),
    /// Nothing was said that can be believed.
    Missing,
}

/// Reads the data of an event.
fn read_event(reader: &mut dyn Reader, data: &[u8]) -> Result<(), Absurd> {
    if data.trim_ascii() == b"[DONE]" {
        reader.done();
        return Ok(());
    }
    if !mentions(data, reader.words()) {
        return Ok(());
    }
    reader.event(&kept_of(data, reader.members(true))?)
}

/// The members at the top of the JSON object that `data` is. Half an object is none.
pub(super) fn kept_of(data: &[u8], members: &'static [&'static str]) -> Result<Json, Absurd> {
    let mut skimmer = Skimmer::new(members);
    skimmer.feed(data);
    let kept = skimmer.finish().filter(|kept| kept.ended).ok_or(Absurd)?;
    parse(&kept.json)
}

fn parse(kept: &[u8]) -> Result<Json, Absurd> {
    Ok(serde_json::from_str(core::str::from_utf8(kept).map_err(|_| Absurd)?)?)
}

/// Reads one answer. Holds at most one event of a stream, and of a JSON answer only what counts.
#[derive(Debug)]
pub struct Meter {
    source: Source,
    reader: Option<Box<dyn Reader>>,
    absurd: bool,
}

#[derive(Debug)]
enum Source {
    Json(Skimmer),
    Stream(Scanner),
}

impl AnswerKind {
    fn reader(self) -> Option<Box<dyn Reader>> {
        Some(match self {
            Self::Chat => Box::new(chat::Chat::default()),
            Self::Responses => Box::new(responses::Responses::default()),
            Self::Embeddings => Box::new(embeddings::Embeddings::default()),
            Self::Images => Box::new(images::Images::default()),
            Self::Transcription => Box::new(audio::Audio::transcription()),
            Self::Speech => Box::new(audio::Audio::speech()),
            Self::Messages => Box::new(messages::Messages::default()),
            Self::Free => return None,
        })
    }
}

impl Meter {
    /// For an answer that is one JSON object. Anything else, such as sound, is read as saying nothing.
    #[must_use]
    pub fn for_json(answer: AnswerKind) -> Self {
        let reader = answer.reader();
        let members = reader.as_ref().map_or(&[][..], |reader| reader.members(false));
        Self { source: Source::Json(Skimmer::new(members)), reader, absurd: false }
    }

    /// For an answer that is a stream of events (`text/event-stream`).
    #[must_use]
    pub fn for_stream(answer: AnswerKind) -> Self {
        Self { source: Source::Stream(Scanner::new()), reader: answer.reader(), absurd: false }
    }

    /// Takes the next bytes of the answer, as they came.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Self { source, reader, absurd } = self;
        match (source, reader) {
            (Source::Json(skimmer), _) => skimmer.feed(bytes),
            (Source::Stream(scanner), Some(reader)) => {
                scanner.feed(bytes, &mut |data| *absurd |= read_event(reader.as_mut(), data).is_err());
            }
            (Source::Stream(_), None) => {}
        }
    }

    /// The answer is over, one way or another.
    #[must_use]
    pub fn finish(self) -> Reading {
        let Self { source, reader, mut absurd } = self;
        let Some(mut reader) = reader else {
            return Reading { used: Used::Complete(vec![Usage::default()]), end: End::Proper };
        };
        let said = match source {
            Source::Json(skimmer) => {
                let kept = skimmer.finish();
                let ended = kept.as_ref().is_some_and(|kept| kept.ended);
                absurd |= kept.is_some_and(|kept| parse(&kept.json).and_then(|answer| reader.json(&answer)).is_err());
                let said = reader.said();
                let end = if ended { said.end.max(End::Proper) } else { said.end };
                Said { end, is_final: said.is_final && ended, ..said }
            }
            Source::Stream(scanner) => {
                // What is left over may be cut anywhere: it counts if it can be read, and tells nothing if it can't.
                let is_whole = scanner.finish(&mut |data| {
                    let _ = read_event(reader.as_mut(), data);
                });
                let said = reader.said();
                Said { is_final: said.is_final && is_whole, ..said }
            }
        };
        let usages = said.usages.into_iter().map(checked).collect::<Result<Vec<_>, _>>();
        let used = match usages {
            Ok(usages) if !absurd && !usages.is_empty() => {
                if said.is_final {
                    Used::Complete(usages)
                } else {
                    Used::Partial(usages)
                }
            }
            _ => Used::Missing,
        };
        Reading { used, end: said.end }
    }
}
