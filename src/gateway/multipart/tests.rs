use proptest::prelude::*;

use super::*;

fn boundary() -> Boundary {
    Boundary::of(Some("multipart/form-data; boundary=X1")).unwrap()
}

fn read_all(body: &str) -> Result<Vec<Part<'_>>, String> {
    parts(body.as_bytes(), &boundary())
}

/// A form with one part, written by hand.
fn with(head: &str, content: &str) -> String {
    format!("--X1\r\n{head}\r\n\r\n{content}\r\n--X1--\r\n")
}

const MODEL: &str = "Content-Disposition: form-data; name=\"model\"";

#[test]
fn fields_and_files_are_found() {
    let body = "--X1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
        --X1\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a b; ü.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\nID3\r\n\r\n-\r\n\
        --X1\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\n\r\n--X1--\r\n";
    let part = |name, is_file, content| Part { name, is_file, is_plain_text: !is_file, content };
    let expected =
        [part("model", false, &b"whisper-1"[..]), part("file", true, b"ID3\r\n\r\n-"), part("prompt", false, b"")];
    assert_eq!(read_all(body).unwrap(), expected);
    assert_eq!(read_all(body.trim_end()).unwrap(), expected);
    assert_eq!(read_all("--X1--\r\n").unwrap(), []);
}

#[test]
fn what_other_clients_write_is_read_too() {
    for head in [
        "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=model",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Length: 1",
        "Content-Disposition: form-data;name=\"model\"\r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: text/plain",
    ] {
        let part = Part { name: "model", is_file: false, is_plain_text: true, content: b"m" };
        assert_eq!(read_all(&with(head, "m")).unwrap(), [part], "{head}");
    }
    let head = "Content-Disposition: form-data; name=file; filename=a.mp3; filename*=utf-8''a.mp3";
    assert!(read_all(&with(head, "m")).unwrap()[0].is_file);
}

#[test]
fn a_content_type_says_one_plain_boundary_and_nothing_else() {
    for (content_type, sent) in [
        ("multipart/form-data; boundary=X1", "multipart/form-data; boundary=X1"),
        ("Multipart/Form-Data;boundary=\"a-1\"", "multipart/form-data; boundary=a-1"),
        (
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
    ] {
        assert_eq!(Boundary::of(Some(content_type)).unwrap().content_type(), sent);
    }
    let long = format!("multipart/form-data; boundary={}", "a".repeat(71));
    for content_type in [
        "",
        "application/json",
        "multipart/mixed; boundary=a",
        "multipart/form-data",
        "multipart/form-data;",
        "multipart/form-data; boundary",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=---",
        "multipart/form-data; boundary=a b",
        "multipart/form-data; boundary=\"a\\b\"",
        "multipart/form-data; boundary=\"a",
        "multipart/form-data; boundary=ä",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=a, multipart/form-data; boundary=b",
        "multipart/form-data; boundary=a; charset=utf-16",
        "multipart/form-data; charset=utf-16; boundary=a",
        "multipart/form-data; boundary*=utf-8''a",
        &long,
    ] {
        assert!(Boundary::of(Some(content_type)).is_err(), "{content_type}");
    }
    assert!(Boundary::of(None).is_err());
}

#[test]
fn a_boundary_stands_between_parts_and_nowhere_else() {
    let part = with(MODEL, "m");
    for body in [
        // What another parser could take for a preamble, a part or an epilogue.
        String::new(),
        format!("\r\n{part}"),
        format!("x\r\n{part}"),
        format!("{part}x"),
        format!("{part}\r\n"),
        format!("{part}{part}"),
        // The end is missing, or cut.
        part.replace("--X1--", ""),
        part.replace("--X1--", "--X1-"),
        part.replace("--X1--", "--X1"),
        part.replace("--X1--\r\n", "--X1\r\n"),
        // Lines that end in one character, or have spaces behind.
        part.replace("\r\n", "\n"),
        part.replace("m\r\n--X1", "m\n--X1"),
        part.replace("--X1\r\n", "--X1 \r\n"),
        part.replace("--X1\r\n", "--X1\n"),
        // A longer boundary that begins like this one, and this one within a file.
        part.replace("m\r\n", "m\r\n--X12\r\n"),
        part.replace("m\r\n", "m--X1\r\n"),
        part.replace("m\r\n", "m\n--X1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nx\r\n"),
        part.replace("m\r\n", "m\r\n--X1--\r\n"),
    ] {
        assert!(read_all(&body).is_err(), "{body:?}");
    }
}

#[test]
fn headers_that_parsers_read_differently_are_refused() {
    for head in [
        "",
        "Content-Type: text/plain",
        "Content-Disposition: form-data",
        "Content-Disposition: attachment; name=\"model\"",
        "Content-Disposition: form-data; name=\"mo\\\"del\"",
        "Content-Disposition: form-data; name=\"mo%64el\"",
        "Content-Disposition: form-data; name=\"model \"",
        "Content-Disposition: form-data; name=\"\"",
        "Content-Disposition: form-data; name=\"a\"; name=\"model\"",
        "Content-Disposition: form-data; name*=utf-8''model",
        "Content-Disposition: form-data; name=\"a\"; filename*=utf-8''x",
        "Content-Disposition: form-data; name=\"a\"; filename=\"x\\\"; name=\"model\"",
        "Content-Disposition: form-data; name=\"a\"; filename=\"x",
        "Content-Disposition: form-data; name=\"a\" name=\"model\"",
        "Content-Disposition: form-data; Name=\"model\"",
        "Content-Disposition: form-data; name='model\"",
        "Content-Disposition: form-data;\r\n name=\"model\"",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Disposition: form-data; name=\"a\"",
        "Content-Disposition : form-data; name=\"model\"",
        " Content-Disposition: form-data; name=\"model\"",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: quoted-printable",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: base64",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Length: 0",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Length: +1",
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Encoding: gzip",
        "Content-Disposition: form-data; name=\"model\"\nX: y",
        "Content-Disposition: form-data; name=\"model\"\r\nX",
        "Content-Disposition: form-data;\tname=\"model\"",
        "Content-Disposition: form-data; name=\"_charset_\"",
        "\u{feff}Content-Disposition: form-data; name=\"model\"",
    ] {
        assert!(read_all(&with(head, "m")).is_err(), "{head:?}");
    }
    let long = format!("{MODEL}; filename=\"{}\"", "a".repeat(MAX_HEAD_BYTES));
    assert!(read_all(&with(&long, "m")).is_err());
    let many = format!("--X1\r\n{MODEL}\r\n\r\nm\r\n").repeat(MAX_PARTS + 1) + "--X1--\r\n";
    assert!(read_all(&many).is_err());
}

#[test]
fn text_in_another_charset_is_no_plain_text() {
    for (kind, is_plain) in [
        ("text/plain", true),
        ("text/plain; charset=UTF-8", true),
        ("text/plain; charset=utf-16", false),
        ("text/plain; format=flowed", false),
        ("application/json", false),
        ("application/octet-stream", false),
    ] {
        let body = with(&format!("{MODEL}\r\nContent-Type: {kind}"), "m");
        assert_eq!(read_all(&body).unwrap()[0].is_plain_text, is_plain, "{kind}");
    }
}

/// A parser as careless as there are: any line end, any place.
fn careless(body: &[u8]) -> usize {
    memmem::find_iter(body, b"--X1").count()
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200), content_type in ".{0,60}") {
        let _ = parts(&body, &boundary());
        let _ = Boundary::of(Some(&content_type));
    }

    #[test]
    fn no_nearly_right_form_makes_it_panic(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "--X1", "--X1--", "\r\n", "\n", "-", "Content-Disposition: form-data; name=\"model\"", "; filename=\"a\"", "\"", "m", ":", " ",
    ]), 0..14)) {
        let body = pieces.concat();
        // What is read has as many delimiters as the most careless parser sees.
        if let Ok(parts) = read_all(&body) {
            prop_assert_eq!(parts.len() + 1, careless(body.as_bytes()));
        }
    }

    #[test]
    fn whatever_is_in_a_file_comes_back_as_it_is(
        content in proptest::collection::vec(any::<u8>(), 0..120),
        name in "[a-z_]{1,8}(\\[\\])?",
    ) {
        prop_assume!(name != "_charset_");
        let head = format!("--X1\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\r\n");
        let body = [head.as_bytes(), &content, b"\r\n--X1--\r\n"].concat();
        match parts(&body, &boundary()) {
            Ok(parts) => prop_assert_eq!((parts[0].name, parts[0].content, parts.len()), (name.as_str(), &content[..], 1)),
            Err(_) => prop_assert!(careless(&content) > 0),
        }
    }

    #[test]
    fn a_form_that_is_cut_anywhere_is_refused(at in 0_usize..67) {
        let body = with(MODEL, "m");
        let cut = at.min(body.trim_end().len() - 1);
        prop_assert!(parts(&body.as_bytes()[..cut], &boundary()).is_err());
    }
}
