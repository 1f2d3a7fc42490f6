//! Retrieve Data: *Job active*, pages and their headers, and what is left when there is no page.

use serde_json::json;
use tally_storage::catalog::JobResult;

use crate::events::Event;
use crate::http::wait_for;
use crate::server::{LATER, TestServer};
use crate::tenant::Tenant;

const RANGE: [(&str, &str); 2] = [("from", "2024-03-01"), ("to", "2024-03-01")];
const LEASE_MS: i64 = 60_000;

/// A server whose upkeep looks at jobs once, at its start: a job that is put into the catalog stays as it is.
fn server_that_leaves_jobs_alone() -> TestServer {
    TestServer::start_with(|config| config.jobs.upkeep_seconds = 100_000)
}

#[test]
fn a_job_is_queued_then_active_with_its_progress() {
    let server = server_that_leaves_jobs_alone();
    let tenant = server.tenant();
    let id = server.silent_job(&tenant, "devices", "{}");
    let queued = tenant.retrieve(&server.client, id.as_str(), "").ok();
    assert_eq!(queued.json(), json!({"message": "Job active", "jobId": id, "status": "queued", "progress": 0.0}));
    assert_eq!(queued.header("retry-after"), Some("1"));
    assert_eq!(queued.header("etag"), None);
    let catalog = &server.store().catalog;
    server.set_clock(LATER);
    assert!(server.wait(catalog.claim_job("worker", LEASE_MS)).unwrap().is_some());
    assert!(server.wait(catalog.renew_job(&id, "worker", LEASE_MS, 0.25)).unwrap());
    let active = tenant.retrieve(&server.client, id.as_str(), "&page=7").ok();
    assert_eq!(active.json(), json!({"message": "Job active", "jobId": id, "status": "active", "progress": 0.25}));
}

#[test]
fn retry_after_is_what_the_report_usually_takes_less_what_it_has_taken() {
    let server = server_that_leaves_jobs_alone();
    let tenant = server.tenant();
    let catalog = &server.store().catalog;
    // One finished job of that report, which took 40 seconds.
    let earlier = server.silent_job(&tenant, "devices", "{}");
    server.set_clock(LATER);
    server.wait(catalog.claim_job("worker", LEASE_MS)).unwrap().unwrap();
    server.set_clock("2024-06-15T18:00:40Z");
    let finished = tenant.report(&server.client, "usage", &RANGE).job_id.parse().unwrap();
    let result = server.wait(catalog.job(&tenant.uid, &finished)).unwrap().unwrap().result.unwrap();
    let result = JobResult { path: "results/of-its-own.arrow".to_owned(), ..result };
    assert!(server.wait(catalog.finish_job(&earlier, "worker", &result)).unwrap());
    let id = server.silent_job(&tenant, "devices", "{}");
    let retry_after = || tenant.retrieve(&server.client, id.as_str(), "").ok().count("retry-after");
    assert_eq!(retry_after(), 40);
    server.set_clock(LATER);
    server.wait(catalog.claim_job("worker", LEASE_MS)).unwrap().unwrap();
    server.set_clock("2024-06-15T18:00:30Z");
    assert_eq!(retry_after(), 10);
    server.set_clock("2024-06-15T18:05:00Z");
    assert_eq!(retry_after(), 1);
}

#[test]
fn a_job_of_a_report_that_is_gone_fails_in_the_words_of_the_contract() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let id = server.silent_job(&tenant, "no-such-report", "{}");
    server.set_clock("2024-06-15T18:00:01Z");
    let failed = tenant.ended(&server.client, id.as_str());
    assert_eq!(failed.status, 500);
    assert_eq!(
        failed.text(),
        "{\"error_message\":\"Job Failed: this version of Tally has no report `no-such-report`.\",\
         \"error_code\":141,\"errors\":{}}"
    );
}

#[test]
fn unknown_jobs_and_those_of_others_cannot_be_told_apart() {
    let server = TestServer::start();
    let (tenant, other) = (server.tenant(), server.tenant());
    let job_id = tenant.report(&server.client, "usage", &RANGE).job_id;
    let unknown = "job_00000000-0000-7000-8000-000000000000";
    let shown = |job_id: &str| {
        server.next_second();
        let answer = other.retrieve(&server.client, job_id, "");
        assert_eq!((answer.status, answer.json()["error_code"].as_u64()), (404, Some(107)));
        answer.shown().replace(job_id, "<job>")
    };
    assert_eq!(shown(&job_id), shown(unknown));
    insta::assert_snapshot!(shown(unknown));
    // A text that is no job's id is an unknown job too; its length differs, nothing else.
    let malformed = other.retrieve(&server.client, "17", "");
    assert_eq!((malformed.status, malformed.json()["error_code"].as_u64()), (404, Some(107)));
}

#[test]
fn the_right_to_a_job_is_that_to_its_organization() {
    let server = TestServer::start();
    let (tenant, other) = (server.tenant(), server.tenant());
    let job_id = tenant.report(&server.client, "usage", &RANGE).job_id;
    let stranger = Tenant { authtoken: other.authtoken.clone(), ..tenant.clone() };
    assert_eq!(stranger.retrieve(&server.client, &job_id, "").status, 403);
    let nobody = Tenant { authtoken: String::new(), ..tenant.clone() };
    assert_eq!(nobody.retrieve(&server.client, &job_id, "").status, 401);
    // Whoever of the organization may ask may read, not only who asked.
    let admin = server.token_of_new(tally_storage::catalog::Role::Admin, &tenant);
    Tenant { authtoken: admin, ..tenant }.retrieve(&server.client, &job_id, "").ok();
}

/// A result of five rows in pages of two.
fn three_pages(server: &TestServer) -> (Tenant, String) {
    let tenant = server.tenant();
    let event = |agent: u8| Event { user_agent: Some(format!("agent {agent}")), ..Event::default() };
    tenant.take_in_events(&server.client, &(0..5).map(event).collect::<Vec<_>>());
    let finished = tenant.report(&server.client, "devices", &[&RANGE[..], &[("limit", "2")]].concat());
    assert_eq!(finished.pages.len(), 3);
    (tenant, finished.job_id)
}

#[test]
fn every_page_says_how_many_there_are_and_where_the_others_are() {
    let server = TestServer::start();
    let (tenant, job_id) = three_pages(&server);
    let uid = &tenant.uid;
    let link =
        |page: u8, rel: &str| format!("</analytics/v2/job/{job_id}/data?orgUid={uid}&page={page}>; rel=\"{rel}\"");
    let links = [
        vec![link(0, "first"), link(1, "next"), link(2, "last")],
        vec![link(0, "first"), link(0, "prev"), link(2, "next"), link(2, "last")],
        vec![link(0, "first"), link(1, "prev"), link(2, "last")],
    ];
    for (page, links) in links.iter().enumerate() {
        let answer = tenant.retrieve(&server.client, &job_id, &format!("&page={page}")).ok();
        assert_eq!(answer.header("x-page-count"), Some("3"));
        assert_eq!(answer.header("x-row-count"), Some("5"));
        assert_eq!(answer.header("link").unwrap(), links.join(", "));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.json()["data"].as_array().unwrap().len(), if page == 2 { 1 } else { 2 });
    }
    // The links can be followed as they are.
    let next = tenant.retrieve(&server.client, &job_id, "").header("link").unwrap().to_owned();
    let next = next.split(", ").nth(1).unwrap().trim_start_matches('<').split('>').next().unwrap().to_owned();
    let followed = server.client.get(&next, &[("authtoken", &tenant.authtoken)]).ok();
    assert_eq!(followed.body, tenant.retrieve(&server.client, &job_id, "&page=1").body);
}

#[test]
fn a_page_that_is_not_there_is_refused() {
    let server = TestServer::start();
    let tenant = server.tenant();
    tenant.take_in_events(&server.client, &[Event::default()]);
    let job_id = tenant.report(&server.client, "devices", &RANGE).job_id;
    let mut shown = String::new();
    for page in ["1", "99999999999999999999999", "-1", "one", "1.0", "", "%2B0", "0&page=0", "0&limit=5"] {
        server.next_second();
        let answer = tenant.retrieve(&server.client, &job_id, &format!("&page={page}"));
        assert_eq!((answer.status, answer.json()["error_code"].as_u64()), (422, Some(119)), "{page}");
        shown += &format!("page={page}\n{}\n", answer.shown());
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn an_empty_result_has_page_0() {
    let server = TestServer::start();
    let tenant = server.tenant();
    let range = [("from", "2020-01-01"), ("to", "2020-01-31"), ("includeTotalCount", "true")];
    let finished = tenant.report(&server.client, "url", &range);
    let [page] = &finished.pages[..] else { panic!("{finished:?}") };
    assert_eq!(page.json()["data"], json!([]));
    assert_eq!((page.header("x-page-count"), page.header("x-row-count")), (Some("1"), Some("0")));
    assert_eq!(tenant.retrieve(&server.client, &finished.job_id, "&page=1").status, 422);
}

#[test]
fn a_page_that_a_client_has_is_not_sent_again() {
    let server = TestServer::start();
    let (tenant, job_id) = three_pages(&server);
    let page = |more: &str| tenant.retrieve(&server.client, &job_id, more).ok();
    let etag = page("").header("etag").unwrap().to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "a strong one: {etag}");
    assert_ne!(page("&page=1").header("etag"), Some(etag.as_str()));
    for given in [etag.as_str(), "*", &format!("W/{etag}"), &format!("\"other\", {etag}")] {
        let unchanged = tenant.retrieve_with(&server.client, &job_id, "", &[("if-none-match", given)]);
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0), "{given}");
        assert_eq!(unchanged.header("etag"), Some(etag.as_str()));
        assert_eq!(unchanged.header("x-page-count"), Some("3"));
    }
    let changed = tenant.retrieve_with(&server.client, &job_id, "", &[("if-none-match", "\"other\"")]);
    assert_eq!(changed.ok().body, page("").body);
}

#[test]
fn a_finished_page_is_the_same_bytes_at_any_later_time_until_it_expires() {
    let mut server = TestServer::start();
    let (tenant, job_id) = three_pages(&server);
    let read = |server: &TestServer| {
        let pages = ["", "&page=1", "&page=2"].map(|page| tenant.retrieve(&server.client, &job_id, page).ok());
        pages.map(|page| (page.header("etag").unwrap().to_owned(), page.body))
    };
    let pages = read(&server);
    tenant.take_in_events(&server.client, &[Event::default()]);
    server.flush(&tenant);
    assert_eq!(read(&server), pages);
    server.restart();
    assert_eq!(read(&server), pages);
    // Results are kept for a week.
    server.set_clock("2024-06-22T11:59:59Z");
    server.wait(server.store().sweep()).unwrap();
    assert_eq!(read(&server), pages);
    server.set_clock("2024-06-22T12:00:00Z");
    server.wait(server.store().sweep()).unwrap();
    // The process that swept knows at once, another one within a second.
    for (_, process) in server.processes().into_iter().filter(|(role, _)| role.answers_requests()) {
        let status = || tenant.retrieve(&process, &job_id, "").status;
        wait_for("the result to be gone", || (status() == 410).then_some(()));
    }
    let gone = tenant.retrieve(&server.client, &job_id, "");
    assert_eq!((gone.status, gone.json()["error_code"].as_u64()), (410, Some(111)));
    insta::assert_snapshot!(gone.text().replace(&job_id, "<job>"));
    let again = tenant.retrieve_with(&server.client, &job_id, "&page=1", &[("if-none-match", &pages[1].0)]);
    assert_eq!(again.status, 410);
}

#[test]
fn two_jobs_of_the_same_request_have_results_of_their_own_with_the_same_rows() {
    let server = TestServer::start();
    let (tenant, _) = three_pages(&server);
    let ask = || tenant.report(&server.client, "devices", &RANGE);
    let (first, second) = (ask(), ask());
    assert_ne!(first.job_id, second.job_id);
    assert_ne!(first.pages[0].json()["uid"], second.pages[0].json()["uid"]);
    assert_eq!(first.texts(&tenant), second.texts(&tenant));
}
