//! A page of a result becomes JSON.

#![allow(clippy::unwrap_used, missing_docs, reason = "a measurement, and what criterion's macros make")]

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{Date32Array, Int64Array, RecordBatch, StringArray};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tally_jobs::rows::write_json_rows;

/// The largest page that can be asked for.
const ROWS: i32 = 900;

fn page() -> RecordBatch {
    let agents = (0..ROWS).map(|row| format!("contentstack-management-javascript/1.{row}.0 (node.js \"v22\"; linux)"));
    let columns: Vec<(&str, arrow::array::ArrayRef)> = vec![
        ("device", Arc::new(agents.map(Some).collect::<StringArray>())),
        ("type", Arc::new((0..ROWS).map(|_| Some("cdn")).collect::<StringArray>())),
        ("count", Arc::new((0..i64::from(ROWS)).map(|row| Some(row * 7919)).collect::<Int64Array>())),
        ("date", Arc::new((0..ROWS).map(|row| Some(20_000 + row % 90)).collect::<Date32Array>())),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn write_a_page(criterion: &mut Criterion) {
    let page = page();
    let mut out = Vec::new();
    write_json_rows(&page, &mut out).unwrap();
    let mut group = criterion.benchmark_group("write_a_page");
    group.throughput(Throughput::Bytes(out.len() as u64));
    group.bench_function("900 rows", |bencher| {
        bencher.iter(|| {
            out.clear();
            write_json_rows(black_box(&page), &mut out).unwrap();
            out.len()
        });
    });
    group.finish();
}

criterion_group!(benches, write_a_page);
criterion_main!(benches);
