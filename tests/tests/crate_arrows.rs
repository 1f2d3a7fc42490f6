//! Which crate may know which, and which crate alone imports an outside library. See `docs/architecture.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// What each crate may know of the others, directly.
const ARROWS: [(&str, &[&str]); 6] = [
    ("tally", &["tally-api", "tally-ingest", "tally-jobs", "tally-storage"]),
    ("tally-api", &["tally-ingest", "tally-jobs", "tally-storage"]),
    ("tally-jobs", &["tally-storage"]),
    ("tally-ingest", &["tally-storage"]),
    ("tally-storage", &[]),
    ("tally-tests", &["tally", "tally-api", "tally-ingest", "tally-jobs", "tally-storage"]),
];

/// Libraries that one crate alone imports.
const IMPORTED_BY_ONE: [(&str, &str); 12] = [
    ("actix-web", "tally-api"),
    ("apalis", "tally-jobs"),
    ("bzip2", "tally-ingest"),
    ("clap", "tally"),
    ("datafusion", "tally-storage"),
    ("figment", "tally"),
    ("governor", "tally-api"),
    ("object_store", "tally-storage"),
    ("argon2", "tally-storage"),
    ("parquet", "tally-storage"),
    ("prometheus", "tally-api"),
    ("sqlx", "tally-storage"),
];

/// Direct dependencies of every crate of the workspace, those of tests aside. The metadata is read as plain JSON: the
/// library for it asks `serde_json` for a feature that nothing else wants, and every dependency of the engine would be
/// built a second time for the tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path", manifest]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_tests = |package: &str, dependency: &Value| dependency["kind"] == "dev" && package != "tally-tests";
    let packages = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let name = text(&package["name"]);
        let wanted = package["dependencies"].as_array().unwrap().iter();
        let wanted = wanted.filter(|dependency| !of_tests(&name, dependency)).map(|it| text(&it["name"])).collect();
        (name, wanted)
    });
    packages.collect()
}

#[test]
fn arrows_between_crates_point_one_way() {
    let found = dependencies();
    assert_eq!(found.keys().map(String::as_str).collect::<BTreeSet<_>>(), ARROWS.map(|(name, _)| name).into());
    for (name, allowed) in ARROWS {
        let ours = found[name].iter().filter(|dependency| found.contains_key(*dependency));
        for dependency in ours {
            assert!(allowed.contains(&dependency.as_str()), "`{name}` may not know `{dependency}`");
        }
    }
}

#[test]
fn an_outside_library_is_imported_by_one_crate() {
    let found = dependencies();
    for (library, owner) in IMPORTED_BY_ONE {
        let importers = found.iter().filter(|(name, wanted)| *name != "tally-tests" && wanted.contains(library));
        for (importer, _) in importers {
            assert_eq!(importer, owner, "`{library}` is imported by `{owner}` alone");
        }
    }
    for library in ["actix-web", "apalis", "datafusion", "parquet", "sqlx"] {
        assert!(found.values().any(|wanted| wanted.contains(library)), "nobody imports `{library}` any more");
    }
}
