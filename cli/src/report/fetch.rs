//! One report from its request to its last page.

use std::io::Write;
use std::time::Duration;

use indicatif::ProgressBar;
use tally_jobs::reports::About;

use super::answer::{Page, Retrieved};
use super::client::Client;
use super::rows::{Format, RowWriter};
use crate::progress::share_bar;

/// The first look at a job is soon: most reports are there at once. Each further pause is twice as long, up to what the
/// server asks for.
const FIRST_LOOK: Duration = Duration::from_millis(25);

/// What is asked for.
#[derive(Debug)]
pub struct ReportRequest {
    /// Which report.
    pub about: &'static About,
    /// Whose.
    pub organization: String,
    /// The other parameters, as the API names them.
    pub pairs: Vec<(&'static str, String)>,
}

/// Asks for a report, waits for it and writes its rows.
///
/// # Errors
/// When the server cannot be reached, refuses, or the job fails; or when the rows cannot be written.
pub fn fetch(client: &Client, request: &ReportRequest, format: Format, out: impl Write) -> anyhow::Result<()> {
    let mut pairs = vec![("orgUid", request.organization.clone())];
    pairs.extend(request.pairs.iter().cloned());
    let job = client.submit(request.about.name, &pairs)?;
    let bar = share_bar(&format!("computing {}", request.about.title));
    let first = wait(client, request, &job, &bar)?;
    bar.finish_and_clear();
    let mut rows = RowWriter::new(format, request.about, out)?;
    let bar = share_bar(&format!("reading {}", request.about.title));
    rows.page(&first)?;
    for page in 1..first.of {
        bar.set_position(1000 * page / first.of);
        rows.page(&page_of(client, request, &job, page)?)?;
    }
    bar.finish_and_clear();
    rows.finish()
}

/// Waits for the job's end.
fn wait(client: &Client, request: &ReportRequest, job: &str, bar: &ProgressBar) -> anyhow::Result<Page> {
    let mut pause = FIRST_LOOK;
    loop {
        match client.retrieve(&request.organization, job, 0)? {
            Retrieved::Page(page) => return Ok(page),
            Retrieved::Active { progress, retry_after } => {
                bar.set_position(thousandths(progress));
                client.pause(pause.min(retry_after));
                pause *= 2;
            }
        }
    }
}

fn page_of(client: &Client, request: &ReportRequest, job: &str, page: u64) -> anyhow::Result<Page> {
    match client.retrieve(&request.organization, job, page)? {
        Retrieved::Page(page) => Ok(page),
        Retrieved::Active { .. } => anyhow::bail!("job `{job}` was finished and is active again"),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1000")]
fn thousandths(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * 1000.0) as u64
}

#[cfg(test)]
mod tests {
    use tally_jobs::reports::find;

    use super::super::stub::{Canned, Stub};
    use super::*;

    const SUBMITTED: &str = r#"{"jobId":"job_1","paginated":true}"#;
    const ACTIVE: &str = r#"{"message":"Job active","jobId":"job_1","status":"queued","progress":0.5}"#;

    fn fetched(answers: Vec<Canned>) -> (anyhow::Result<String>, Vec<String>) {
        let stub = Stub::start(answers);
        let client = Client::new(&stub.url, "secret".to_owned()).unwrap().hasty();
        let about = find("url").unwrap().about();
        let pairs = vec![("from", "2026-03-01".to_owned())];
        let request = ReportRequest { about, organization: "blt1".to_owned(), pairs };
        let mut out = Vec::new();
        let done = fetch(&client, &request, Format::Csv, &mut out);
        (done.map(|()| String::from_utf8(out).unwrap()), stub.requests())
    }

    #[test]
    fn a_report_is_asked_for_waited_for_and_read_to_its_last_page() {
        let page = |url: &str| format!(r#"{{"data":[{{"url":"{url}","type":"cdn","count":"5"}}],"meta":{{}}}}"#);
        let answers = vec![
            Canned::ok(SUBMITTED),
            Canned::ok(ACTIVE),
            Canned::page(2, &page("https://a.example/")),
            Canned::page(2, &page("https://b.example/")),
        ];
        let (rows, requests) = fetched(answers);
        assert_eq!(rows.unwrap(), "url,type,count\nhttps://a.example/,cdn,5\nhttps://b.example/,cdn,5\n");
        let paths: Vec<&str> = requests.iter().map(|head| head.split(' ').nth(1).unwrap()).collect();
        assert_eq!(
            paths,
            [
                "/analytics/v2/url?orgUid=blt1&from=2026-03-01",
                "/analytics/v2/job/job_1/data?orgUid=blt1&page=0",
                "/analytics/v2/job/job_1/data?orgUid=blt1&page=0",
                "/analytics/v2/job/job_1/data?orgUid=blt1&page=1",
            ]
        );
    }

    #[test]
    fn a_failed_job_says_why() {
        let failed = r#"{"error_message":"Job Failed: too long.","error_code":141,"errors":{}}"#;
        let (rows, _) = fetched(vec![Canned::ok(SUBMITTED), Canned::status(500, failed)]);
        assert_eq!(rows.unwrap_err().to_string(), "Job Failed: too long. (HTTP 500)");
    }
}
