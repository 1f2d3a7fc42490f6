//! Tests of the demo in a store: made once, never doubled, repaired where something is gone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tally_storage::catalog::LaunchTotals;
use tally_storage::clock::Clock;
use tally_storage::store::Store;
use tempfile::TempDir;

use super::organization::find_or_make;
use super::{DemoAccess, prepare};
use crate::config::Config;

const EVENTS: u64 = 9_000;
const URL: &str = "http://127.0.0.1:8080";

async fn store() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
    let clock = Clock::fixed("2026-05-31T12:34:56Z".parse().unwrap());
    (Store::open(&config.store(), clock).await.unwrap(), folder)
}

async fn events_of(store: &Store, access: &DemoAccess) -> u64 {
    let stacks = store.catalog.stacks_of(&access.organization).await.unwrap();
    let keys = stacks.into_iter().map(|stack| stack.api_key).collect();
    super::load::load(store, &access.organization, keys, EVENTS).await.unwrap()
}

#[tokio::test]
async fn the_demo_is_made_once_and_remembered_for_its_owner_alone() {
    let (store, folder) = store().await;
    let access = prepare(&store, URL, EVENTS).await.unwrap();
    assert!(store.catalog.verify_password(&access.email, &access.password).await.unwrap().is_some());
    assert_eq!(store.catalog.stacks_of(&access.organization).await.unwrap().len(), 3);
    let today = store.clock.today();
    let totals = store.catalog.launch_totals(&access.organization, today).await.unwrap();
    assert_eq!(totals, LaunchTotals { projects: 12, environments: 36, domains: 36 });

    let file = folder.path().join("demo.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(written["organization"], access.organization.as_str());
    assert_eq!(prepare(&store, URL, EVENTS).await.unwrap(), access);
    assert_eq!(store.catalog.organizations().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_later_start_adds_the_hours_since_and_nothing_twice() {
    let (store, _folder) = store().await;
    let (access, stacks) = find_or_make(&store, URL).await.unwrap();
    let first = super::load::load(&store, &access.organization, stacks, EVENTS).await.unwrap();
    assert!((EVENTS - 100..EVENTS).contains(&first), "{first}: all but the hours of today that are to come");
    assert_eq!(events_of(&store, &access).await, 0);

    store.clock.set("2026-06-01T12:00:00Z".parse().unwrap());
    let second = events_of(&store, &access).await;
    assert!((50..200).contains(&second), "{second} in a day");
    assert_eq!(events_of(&store, &access).await, 0);
}

#[tokio::test]
async fn a_start_that_was_cut_off_is_taken_up() {
    let (store, _folder) = store().await;
    let (cut_off, _) = find_or_make(&store, URL).await.unwrap();
    let access = prepare(&store, URL, EVENTS).await.unwrap();
    assert_eq!(access.organization, cut_off.organization);
    assert_eq!(store.catalog.organizations().await.unwrap().len(), 1);
    assert!(store.catalog.user_of_authtoken(&access.authtoken).await.unwrap().is_some());
}

#[tokio::test]
async fn what_was_revoked_is_made_anew() {
    let (store, _folder) = store().await;
    let before = prepare(&store, URL, EVENTS).await.unwrap();
    store.catalog.revoke_authtoken(&before.authtoken).await.unwrap();
    let after = prepare(&store, URL, EVENTS).await.unwrap();
    assert_eq!(after.organization, before.organization);
    assert!(store.catalog.user_of_authtoken(&after.authtoken).await.unwrap().is_some());

    store.catalog.delete_organization(&before.organization).await.unwrap();
    let afresh = prepare(&store, URL, EVENTS).await.unwrap();
    assert_ne!(afresh.organization, before.organization);
}
