//! Lines become events: how fast each format is read, and a body of Tally's own from bytes to columns.

#![allow(clippy::unwrap_used, missing_docs, reason = "a measurement, and what criterion's macros make")]

use std::collections::HashSet;
use std::fs;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tally_ingest::body::{BodyKind, BodyLimits, BodyOptions, read_body};
use tally_ingest::decode::Encoding;
use tally_ingest::event::Rules;
use tally_ingest::formats::FORMATS;
use tally_storage::clock::Clock;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/log_formats");

/// Lines of a body: several blocks.
const LINES: usize = 40_000;

fn fixture(format: &str) -> Vec<u8> {
    fs::read(Path::new(FIXTURES).join(format).with_extension("log")).unwrap()
}

/// Every line of a format's fixture that is one of its events.
fn parse_a_line(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse_a_line");
    for format in FORMATS {
        let text = fixture(format.name());
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| format.parse(line).is_ok()).collect();
        if lines.is_empty() {
            // Its lines are only known after their header.
            continue;
        }
        group.throughput(Throughput::Bytes(lines.iter().map(|line| line.len() as u64).sum()));
        group.bench_function(format.name(), |bencher| {
            bencher.iter(|| lines.iter().filter(|line| format.parse(black_box(line)).is_ok()).count());
        });
    }
    group.finish();
}

/// An event with most of what there is.
fn line(number: usize) -> String {
    let (second, page, agent) = (number % 60, number * 7919 % 30_000, number % 40);
    format!(
        "{{\"ts\":\"2026-11-20T10:00:{second:02}.125Z\",\"service\":\"cdn\",\"method\":\"GET\",\
         \"url\":\"https://cdn.example.com/v3/content_types/article/entries/blt{page:016x}?environment=production\",\
         \"status\":200,\"bytes\":{page},\"duration_ms\":12.5,\"cache\":\"HIT\",\
         \"user_agent\":\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{agent}.0\",\
         \"sdk\":\"contentstack-management-javascript/1.{agent}.0\"}}\n"
    )
}

fn read_a_body(criterion: &mut Criterion) {
    let body: String = (0..LINES).map(line).collect();
    let rules = Rules { stacks: None, ..Rules::new(HashSet::new(), Clock::system()) };
    let mut group = criterion.benchmark_group("read_a_body");
    group.throughput(Throughput::Bytes(body.len() as u64)).sample_size(20);
    for threads in [1, 2] {
        let options = BodyOptions {
            kind: BodyKind::Ndjson,
            encoding: Encoding::Plain,
            limits: BodyLimits { wire_bytes: u64::MAX, decompressed_bytes: u64::MAX, line_bytes: 1 << 20 },
            strict: false,
            hash: false,
            threads,
        };
        group.bench_function(format!("{threads} threads"), |bencher| {
            bencher.iter(|| {
                let mut events = 0;
                read_body(body.as_bytes(), &options, &rules, |batch| {
                    events += batch.num_rows();
                    Ok(())
                })
                .unwrap();
                events
            });
        });
    }
    group.finish();
}

criterion_group!(benches, parse_a_line, read_a_body);
criterion_main!(benches);
