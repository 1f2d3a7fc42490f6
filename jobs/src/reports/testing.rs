//! What the reports' snapshot tests share: a store with a handful of events, and a report's rows as lines of JSON.

use chrono::DateTime;
use tally_storage::catalog::{CatalogAddress, LaunchKind, LaunchResource, Retention};
use tally_storage::clock::Clock;
use tally_storage::events::Commit;
use tally_storage::events::requests::{CacheState, RequestColumns, RequestEvent, Service};
use tally_storage::ids::OrganizationUid;
use tally_storage::lake::LakeLimits;
use tally_storage::results::read_page;
use tally_storage::store::{Store, StoreOptions};

use super::{ProgressCell, Task, find};
use crate::parameters::parse;
use crate::rows::write_json_rows;

/// 2024-02-28T23:59:59Z: a second before a leap day.
const START_MS: i64 = 1_709_164_799_000;
const HOUR_MS: i64 = 3_600_000;

fn events() -> Vec<RequestEvent<'static>> {
    let event = RequestEvent {
        ts_ms: START_MS,
        url: "https://cdn.example.com/v3/entries?a=1",
        service: Service::Cdn,
        status: 200,
        method: "GET",
        bytes: 5_000_000_000,
        api_key: None,
        cache: Some(CacheState::Hit),
        user_agent: "curl/8.5.0",
        sdk: None,
        duration_ms: None,
        project_uid: None,
        environment_uid: None,
        domain: None,
        id: None,
    };
    let agent = "Mozilla/5.0 (\"quoted\"; naïve)";
    vec![
        event.clone(),
        RequestEvent { ts_ms: START_MS + 1000, cache: Some(CacheState::Miss), ..event.clone() },
        RequestEvent { ts_ms: START_MS + 2 * HOUR_MS, user_agent: agent, status: 404, ..event.clone() },
        RequestEvent { ts_ms: START_MS + 3 * HOUR_MS, user_agent: agent, sdk: Some("js/1.2"), ..event.clone() },
        RequestEvent {
            ts_ms: START_MS + 30 * HOUR_MS,
            service: Service::Cma,
            url: "https://api.example.com/v3/stacks",
            cache: None,
            sdk: Some("java/2.0"),
            bytes: 17,
            ..event.clone()
        },
        // Outside the range, and of a service that is not asked about.
        RequestEvent { ts_ms: START_MS + 100 * HOUR_MS, ..event.clone() },
        RequestEvent { service: Service::Launch, ..event },
    ]
}

async fn store(folder: &std::path::Path) -> (Store, OrganizationUid) {
    let options = StoreOptions {
        data_dir: folder.to_owned(),
        catalog: CatalogAddress::in_folder(folder),
        max_backlog_bytes: 1 << 20,
        lake: LakeLimits { memory_bytes: 64 << 20, spill_bytes: 64 << 20, threads: 2 },
        retention: Retention::default(),
    };
    let clock = Clock::fixed(DateTime::from_timestamp_millis(START_MS + 200 * HOUR_MS).unwrap());
    let store = Store::open(&options, clock).await.unwrap();
    let organization = store.catalog.create_organization("Example").await.unwrap();
    // Half in a segment, half in the log.
    for half in events().chunks(4) {
        let mut columns = RequestColumns::new();
        for event in half {
            columns.push(event);
        }
        let mut stage = store.events.stage(&organization);
        stage.push(columns.finish().unwrap()).unwrap();
        store.events.flush(&organization).await.unwrap();
        store.events.commit(stage, Commit::default()).await.unwrap();
    }
    for (kind, uid, deleted_at) in [
        (LaunchKind::Project, "p1", None),
        (LaunchKind::Project, "p2", DateTime::from_timestamp_millis(START_MS)),
        (LaunchKind::Environment, "e1", DateTime::from_timestamp_millis(START_MS + 190 * HOUR_MS)),
    ] {
        let created_at = DateTime::from_timestamp_millis(START_MS - HOUR_MS);
        let resource =
            LaunchResource { kind, uid: uid.to_owned(), name: None, project_uid: None, created_at, deleted_at };
        store.catalog.put_launch_resource(&organization, &resource).await.unwrap();
    }
    (store, organization)
}

/// The report's rows over 2024-02-28 to 2024-03-02, and what is said about them, as lines.
pub(super) async fn rows_of(name: &str, more: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (store, organization) = store(folder.path()).await;
    let report = find(name).unwrap();
    let mut pairs = vec![("from", "2024-02-28"), ("to", "2024-03-02")];
    let wants = |name: &str| report.about().parameters.iter().any(|it| it.required && it.parameter.name() == name);
    pairs.extend([("services", "[\"cdn\",\"cma\"]"), ("duration", "day")].iter().filter(|pair| wants(pair.0)));
    pairs.extend(more);
    let pairs: Vec<_> = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let parameters = parse(report.about().parameters, &pairs).unwrap();
    let task = Task {
        store: &store,
        organization: &organization,
        parameters: &parameters,
        progress: &ProgressCell::default(),
    };
    let computed = report.compute(&task).await.unwrap();
    let written = computed.pages.publish().unwrap();
    let page = read_page(&store.folder, &written.path, 0).unwrap().unwrap();
    let mut json = Vec::new();
    write_json_rows(&page, &mut json).unwrap();
    let rows = String::from_utf8(json).unwrap().replace("},{", "}\n{");
    let marker = computed.marker.map(|day| day.to_string());
    format!("{rows}\ntotal {} documents {} marker {marker:?}", computed.total, computed.document_count)
}
