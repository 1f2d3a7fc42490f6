use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::headers::Reading;
use crate::raw::Field;

fn name_of(file: &[u8]) -> Option<&'static str> {
    detect(file).unwrap().map(Format::name)
}

#[test]
fn a_format_is_named_told_or_spelled_out() {
    assert!(matches!("auto".parse(), Ok(Selection::Auto)));
    let spelled = r#"[$time_local] "$request" $status"#;
    assert!(matches!(spelled.parse(), Ok(Selection::Nginx(_))));
    for format in FORMATS {
        assert!(matches!(format.name().parse(), Ok(Selection::Named(named)) if named.name() == format.name()));
    }
    assert_eq!(FORMATS.map(Format::name).into_iter().collect::<HashSet<_>>().len(), FORMATS.len());
}

#[test]
fn an_unknown_format_names_the_known_ones() {
    let error = "apache".parse::<Selection>().unwrap_err();
    assert!(FORMATS.iter().all(|format| error.to_string().contains(&format!("`{}`", format.name()))));
    let text = error.to_string().replace(&known_names(), "…");
    insta::assert_snapshot!(text, @"format `apache` does not exist; expected `auto`, … or an nginx log_format with its `$variables`");
}

#[test]
fn every_fixture_is_told_as_its_own_format() {
    for format in FORMATS {
        let file = fixture::read(format.name());
        assert_eq!(name_of(&file), Some(format.name()));
        let dos: Vec<u8> = fixture::lines(&file).flat_map(|line| [line, b"\r\n"].concat()).collect();
        assert_eq!(name_of(&dos), Some(format.name()));
    }
}

#[test]
fn a_file_that_has_nothing_but_headers_yet_is_told_by_them() {
    for name in ["w3c", "cloudfront"] {
        let file = fixture::read(name);
        let headers: Vec<&[u8]> = fixture::lines(&file).take_while(|line| line.starts_with(b"#")).collect();
        assert_eq!(name_of(&headers.join(&b'\n')), Some(name));
        assert_eq!(name_of(headers[0]), Some(name));
    }
}

/// What a cut-off line must not change: durations, sizes and a cache's word at a line's end cannot tell.
const KEPT: [Field; 4] = [Field::Ts, Field::Status, Field::Method, Field::UserAgent];

#[test]
fn a_line_that_is_cut_off_is_refused_or_gives_the_same_event() {
    for format in FORMATS {
        let file = fixture::read(format.name());
        let mut events = 0;
        for (reading, line) in fixture::readings(format, &file) {
            let Ok(whole) = reading.format().parse(&line) else { continue };
            events += 1;
            for end in 0..line.len() {
                let Ok(part) = reading.format().parse(&line[..end]) else { continue };
                let part_of = String::from_utf8_lossy(&line[..end]);
                for field in KEPT {
                    assert_eq!(part.get(field), whole.get(field), "{}: {part_of}", format.name());
                }
                // S3's older lines say no host, and end where newer ones go on.
                let url =
                    |raw: &RawEvent<'_>| format!("{:?}", raw.get(Field::Url)).split('/').next_back().map(str::to_owned);
                assert_eq!(url(&part), url(&whole), "{}: {part_of}", format.name());
            }
        }
        assert!(events >= 3, "{}", format.name());
    }
}

/// Reads the lines in every way that a file is read.
fn read_as(format: &dyn Format, lines: &[Vec<u8>]) {
    let mut reading = Reading::new(format, None, usize::MAX);
    for line in lines {
        let claimed = reading.format().claims(line);
        let header = reading.takes_header(line);
        if !header && !line.trim_ascii().is_empty() {
            let parsed = reading.format().parse(line);
            assert!(parsed.is_ok() || !claimed);
            if let Err(fault) = parsed {
                assert!(!fault.reason.is_empty());
            }
        }
    }
}

/// Lines of a fixture, with some bytes put in the place of others.
fn damaged(file: &[u8], places: &[(Index, Index, Vec<u8>)]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = fixture::lines(file).map(<[u8]>::to_vec).collect();
    for (line, place, bytes) in places {
        let count = lines.len();
        let line = &mut lines[line.index(count)];
        let start = place.index(line.len() + 1);
        let end = (start + bytes.len() / 2).min(line.len());
        line.splice(start..end, bytes.iter().copied());
    }
    lines
}

proptest! {
    #[test]
    fn no_bytes_make_a_format_panic(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..8)) {
        for format in FORMATS {
            read_as(format, &lines);
        }
        if let Err(error) = detect(&lines.join(&b'\n')) {
            prop_assert!(error.to_string().contains("`w3c`"));
        }
    }

    #[test]
    fn no_text_makes_a_format_panic(
        lines in prop::collection::vec("#Fields:( (date|time|cs-uri-stem|sc-status|cs\\(User-Agent\\)|x)){1,9}|[ -~\t\"\\[\\]{}:,é\0]{0,60}", 1..12),
    ) {
        let lines: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
        for format in FORMATS {
            read_as(format, &lines);
        }
    }

    #[test]
    fn no_damage_makes_a_format_panic(
        places in prop::collection::vec(
            (any::<Index>(), any::<Index>(), prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\"\\[]{}:,.-+%#/ \t0123456789".to_vec())], 0..6)),
            1..12,
        ),
    ) {
        for format in FORMATS {
            read_as(format, &damaged(&fixture::read(format.name()), &places));
        }
    }
}
