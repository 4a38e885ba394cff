use super::*;

#[test]
fn embeddings_are_input_alone() {
    let whole = r#"{"object":"list","data":[{"embedding":[0.1,-0.2],"index":0}],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    let usage = Usage { input_tokens: 8, model: model("text-embedding-3-small"), ..Usage::default() };
    assert_eq!(json(AnswerKind::Embeddings, whole), complete(&[usage]));
}

#[test]
fn what_is_free_has_used_nothing_whatever_it_says() {
    for text in ["", r#"{"input_tokens":14}"#, "\0"] {
        assert_eq!(json(AnswerKind::Free, text), complete(&[Usage::default()]));
        assert_eq!(stream(AnswerKind::Free, text), complete(&[Usage::default()]));
    }
}

#[test]
fn images_say_their_usage_whole_and_streamed() {
    let usage = Usage {
        input_tokens: 250,
        input_image_tokens: 200,
        output_tokens: 1056,
        output_image_tokens: 1056,
        ..Usage::default()
    };
    let tokens = r#""usage":{"input_tokens":250,"input_tokens_details":{"image_tokens":200,"text_tokens":50},"output_tokens":1056,"total_tokens":1306}"#;
    let whole = format!(r#"{{"created":1,"data":[{{"b64_json":"AAAA"}}],"quality":"low",{tokens}}}"#);
    assert_eq!(json(AnswerKind::Images, &whole), complete(std::slice::from_ref(&usage)));
    for kind in ["image_generation.completed", "image_edit.completed"] {
        let text = events(&[
            r#"{"type":"image_generation.partial_image","b64_json":"AA","partial_image_index":0}"#,
            &format!(r#"{{"type":"{kind}","b64_json":"AAAA",{tokens}}}"#),
        ]);
        assert_eq!(stream(AnswerKind::Images, &text), complete(std::slice::from_ref(&usage)));
    }
    let said = whole.replace(
        r#""total_tokens""#,
        r#""output_tokens_details":{"image_tokens":1000,"text_tokens":56},"total_tokens""#,
    );
    assert_eq!(json(AnswerKind::Images, &said), complete(&[Usage { output_image_tokens: 1000, ..usage }]));
    assert_eq!(json(AnswerKind::Images, r#"{"created":1,"data":[{"url":"x"}]}"#), missing(End::Proper));
}

#[test]
fn the_author_of_an_svg_is_billed_beside_the_image() {
    let whole = r#"{"usage":{"input_tokens":5,"output_tokens":9},"svg_usage":{"input_tokens":3,"model":"s","output_tokens":7,"reasoning_tokens":2,"total_tokens":10}}"#;
    let image = Usage { input_tokens: 5, output_tokens: 9, output_image_tokens: 9, ..Usage::default() };
    let svg = Usage { input_tokens: 3, output_tokens: 7, reasoning_tokens: 2, model: model("s"), ..Usage::default() };
    assert_eq!(json(AnswerKind::Images, whole), complete(&[image, svg]));
}

#[test]
fn transcriptions_are_billed_by_tokens_or_by_their_length() {
    let by_tokens = r#""usage":{"type":"tokens","input_tokens":140,"input_token_details":{"text_tokens":0,"audio_tokens":140},"output_tokens":30,"total_tokens":170}"#;
    let usage = Usage { input_tokens: 140, input_audio_tokens: 140, output_tokens: 30, ..Usage::default() };
    let whole = format!(r#"{{"text":"hi",{by_tokens}}}"#);
    assert_eq!(json(AnswerKind::Transcription, &whole), complete(std::slice::from_ref(&usage)));
    let text = events(&[
        r#"{"type":"transcript.text.delta","delta":"hi"}"#,
        &format!(r#"{{"type":"transcript.text.done","text":"hi",{by_tokens}}}"#),
    ]);
    assert_eq!(stream(AnswerKind::Transcription, &text), complete(&[usage]));
    for (seconds, audio_millis) in [("9", 9000), ("9.2", 9200), ("0.0001", 1), ("12.3456", 12346), ("3.0", 3000)] {
        let whole = format!(r#"{{"text":"hi","usage":{{"type":"duration","seconds":{seconds}}}}}"#);
        let usage = Usage { audio_millis, ..Usage::default() };
        assert_eq!(json(AnswerKind::Transcription, &whole), complete(&[usage]), "{seconds}");
    }
    for seconds in ["-1", "1e30", "\"9\"", "9007199254741", "[]", "-0.5"] {
        let whole = format!(r#"{{"usage":{{"type":"duration","seconds":{seconds}}}}}"#);
        assert_eq!(json(AnswerKind::Transcription, &whole), missing(End::Proper), "{seconds}");
    }
}

#[test]
fn speech_is_sound_and_says_nothing_but_as_events() {
    assert_eq!(json(AnswerKind::Speech, "ID3\u{4}\0"), missing(End::Broken));
    let text = events(&[
        r#"{"type":"speech.audio.delta","audio":"AAAA"}"#,
        r#"{"type":"speech.audio.done","usage":{"input_tokens":14,"output_tokens":101,"total_tokens":115}}"#,
    ]);
    let usage = Usage { input_tokens: 14, output_tokens: 101, output_audio_tokens: 101, ..Usage::default() };
    assert_eq!(stream(AnswerKind::Speech, &text), complete(&[usage]));
}
