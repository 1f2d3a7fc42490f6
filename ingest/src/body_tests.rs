use std::collections::HashSet;

use proptest::prelude::*;
use tally_storage::clock::Clock;

use super::*;
use crate::test_input::{Failing, Trickle, compressed};

const LIMITS: BodyLimits = BodyLimits { wire_bytes: 1 << 20, decompressed_bytes: 1 << 22, line_bytes: 64 * 1024 };

fn options(kind: BodyKind) -> BodyOptions {
    BodyOptions { kind, encoding: Encoding::Plain, limits: LIMITS, strict: false, hash: false, threads: 2 }
}

fn read(input: impl Read + Send, options: &BodyOptions) -> (Result<BodySummary, BodyError>, u64) {
    let rules = Rules::new(HashSet::new(), Clock::fixed("2015-05-20T12:00:00Z".parse().unwrap()));
    let mut stored = 0;
    let summary = read_body(input, options, &rules, |batch| {
        stored += batch.num_rows() as u64;
        Ok(())
    });
    (summary, stored)
}

fn event(number: usize) -> String {
    format!(r#"{{"ts":{},"url":"/{number}","status":200}}"#, 1_431_857_103_250_u64 + number as u64)
}

fn ndjson(count: usize) -> String {
    (0..count).map(|number| event(number) + "\n").collect()
}

#[test]
fn a_batch_with_faults_keeps_its_valid_lines_and_lists_the_others() {
    let body = format!(
        "{}\r\n\n{{\"ts\":1}}\nnonsense\n{}",
        event(1),
        r#"{"ts":1431857103250,"url":"/","status":200,"a":1,"b":{}}"#
    );
    let (summary, stored) = read(body.as_bytes(), &options(BodyKind::Ndjson));
    assert_eq!(stored, 2);
    insta::assert_debug_snapshot!(summary.unwrap());
}

#[test]
fn an_array_is_read_like_lines_and_counted_by_elements() {
    let body = format!("[{},\n {{\"ts\":1}},\n {}\n]", event(1), event(2));
    let (summary, stored) = read(body.as_bytes(), &options(BodyKind::JsonArray));
    let summary = summary.unwrap();
    assert_eq!((stored, summary.events, summary.rejected, summary.errors[0].line), (2, 2, 1, 2));
}

#[test]
fn strict_keeps_all_or_nothing() {
    let strict = BodyOptions { strict: true, ..options(BodyKind::Ndjson) };
    let body = format!("{}\nnonsense\n{}", event(1), event(2));
    let (outcome, _) = read(body.as_bytes(), &strict);
    assert!(matches!(outcome, Err(BodyError::Rejected { rejected: 1, errors }) if errors[0].line == 2));
    assert_eq!(read(ndjson(3).as_bytes(), &strict).0.unwrap().events, 3);
}

#[test]
fn the_first_hundred_faults_are_listed_and_all_are_counted() {
    let body = format!("{}{}", ndjson(1), "nonsense\n".repeat(250));
    let summary = read(body.as_bytes(), &options(BodyKind::Ndjson)).0.unwrap();
    assert_eq!((summary.rejected, summary.errors.len(), summary.errors[99].line), (250, 100, 101));
}

#[test]
fn lines_are_numbered_across_blocks() {
    let body = format!("{}nonsense\n", ndjson(30_000));
    let limits = BodyLimits { wire_bytes: 1 << 22, ..LIMITS };
    let (summary, stored) = read(body.as_bytes(), &BodyOptions { limits, ..options(BodyKind::Ndjson) });
    assert_eq!((stored, summary.unwrap().errors[0].line), (30_000, 30_001));
}

#[test]
fn an_empty_body_has_no_events() {
    assert_eq!(read("".as_bytes(), &options(BodyKind::Ndjson)).0.unwrap(), BodySummary::default());
    assert_eq!(read("[]".as_bytes(), &options(BodyKind::JsonArray)).0.unwrap(), BodySummary::default());
    assert!(matches!(read("".as_bytes(), &options(BodyKind::JsonArray)).0, Err(BodyError::NoArray(_))));
}

#[test]
fn each_limit_holds_at_exactly_its_bound_and_has_a_name() {
    let body = ndjson(4);
    let size = body.len() as u64;
    let with =
        |limits, encoding, body: &[u8]| read(body, &BodyOptions { encoding, limits, ..options(BodyKind::Ndjson) }).0;
    let too_large = |outcome| match outcome {
        Err(BodyError::TooLarge(limit)) => Some(limit),
        _ => None,
    };
    let wire = |max| BodyLimits { wire_bytes: max, ..LIMITS };
    assert_eq!(with(wire(size), Encoding::Plain, body.as_bytes()).unwrap().events, 4);
    assert_eq!(too_large(with(wire(size - 1), Encoding::Plain, body.as_bytes())), Some(Limit::Wire(size - 1)));
    for encoding in [Encoding::Gzip, Encoding::Zstd] {
        let packed = compressed(encoding, body.as_bytes());
        let plain = |max| BodyLimits { decompressed_bytes: max, ..LIMITS };
        assert_eq!(with(plain(size), encoding, &packed).unwrap().events, 4);
        assert_eq!(too_large(with(plain(size - 1), encoding, &packed)), Some(Limit::Decompressed(size - 1)));
        let short = packed.len() as u64 - 1;
        assert_eq!(too_large(with(wire(short), encoding, &packed)), Some(Limit::Wire(short)));
    }
}

#[test]
fn one_line_over_the_limit_refuses_the_body() {
    let longest = event(1).len() - 1;
    let limits = BodyLimits { line_bytes: longest, ..LIMITS };
    for (kind, body) in [(BodyKind::Ndjson, event(1)), (BodyKind::JsonArray, format!("[{}]", event(1)))] {
        let (outcome, _) = read(body.as_bytes(), &BodyOptions { limits, ..options(kind) });
        assert!(matches!(outcome, Err(BodyError::TooLarge(Limit::Line(max))) if max == longest as u64), "{kind:?}");
        let exact = BodyLimits { line_bytes: longest + 1, ..LIMITS };
        assert_eq!(read(body.as_bytes(), &BodyOptions { limits: exact, ..options(kind) }).0.unwrap().events, 1);
    }
    let text = vec![b'x'; 500_000];
    let endless = Trickle::new(&text, 8192);
    assert!(matches!(read(endless, &options(BodyKind::Ndjson)).0, Err(BodyError::TooLarge(Limit::Line(65_536)))));
}

#[test]
fn what_cannot_be_decompressed_or_breaks_off_is_unreadable() {
    for encoding in [Encoding::Gzip, Encoding::Zstd] {
        let packed = compressed(encoding, ndjson(100).as_bytes());
        let options = BodyOptions { encoding, ..options(BodyKind::Ndjson) };
        for body in [b"".as_slice(), b"{}", &packed[..packed.len() - 1], &packed[..10]] {
            let outcome = read(body, &options).0;
            assert!(matches!(outcome, Err(BodyError::Unreadable { .. })), "{encoding}: {outcome:?}");
        }
    }
    let outcome = read(Failing::after(event(1).as_bytes()), &options(BodyKind::Ndjson)).0;
    assert!(matches!(outcome, Err(BodyError::Unreadable { .. })));
}

#[test]
fn a_store_that_fails_ends_the_reading() {
    let rules = Rules::new(HashSet::new(), Clock::fixed("2015-05-20T12:00:00Z".parse().unwrap()));
    let fail = |_| Err(StorageError::IdempotencyMismatch);
    let outcome = read_body(ndjson(10).as_bytes(), &options(BodyKind::Ndjson), &rules, fail);
    assert!(matches!(outcome, Err(BodyError::Storage(StorageError::IdempotencyMismatch))));
}

proptest! {
    #[test]
    fn the_same_bytes_have_the_same_hash_however_they_come(count in 0_usize..20, step in 1_usize..300) {
        let body = ndjson(count);
        let hash = |encoding: Encoding, bytes: &[u8]| {
            let options = BodyOptions { hash: true, encoding, ..options(BodyKind::Ndjson) };
            read(Trickle::new(bytes, step), &options).0.unwrap().body_sha256
        };
        let plain = hash(Encoding::Plain, body.as_bytes());
        prop_assert!(plain.is_some());
        prop_assert_eq!(&plain, &hash(Encoding::Gzip, &compressed(Encoding::Gzip, body.as_bytes())));
        prop_assert_eq!(&plain, &hash(Encoding::Zstd, &compressed(Encoding::Zstd, body.as_bytes())));
    }
}
