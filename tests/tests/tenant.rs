//! An organization with an owner, an ingest key and stacks, and what its people do.

use serde_json::Value;
use tally_storage::catalog::{Catalog, Role};
use tally_storage::ids::{OrganizationUid, UserUid};
use tally_storage::password::Password;

use crate::events::{Event, lines};
use crate::http::{Answer, Client, query, wait_for};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// Stacks of an organization.
pub(crate) const STACKS: usize = 2;

/// An organization, and the secrets of those who work for it.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) uid: OrganizationUid,
    pub(crate) owner: UserUid,
    pub(crate) email: String,
    pub(crate) authtoken: String,
    pub(crate) key: String,
    pub(crate) stacks: Vec<String>,
}

/// A finished report: its pages and what their headers say.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(crate) job_id: String,
    pub(crate) pages: Vec<Answer>,
}

impl Tenant {
    /// Makes one.
    pub(crate) async fn in_catalog(catalog: &Catalog) -> Self {
        let uid = catalog.create_organization("Example").await.unwrap();
        let email = format!("{uid}@example.com");
        let password = Password::new(PASSWORD.to_owned()).unwrap();
        let owner = catalog.create_user(&uid, &email.parse().unwrap(), Role::Owner, &password).await.unwrap();
        let authtoken = catalog.create_authtoken(&owner).await.unwrap();
        let key = catalog.create_ingest_key(&uid).await.unwrap();
        let mut stacks = Vec::new();
        for stack in 0..STACKS {
            stacks.push(catalog.create_stack(&uid, &format!("Stack {stack}")).await.unwrap());
        }
        Self { uid, owner, email, authtoken, key, stacks }
    }

    /// Asks for a report; `orgUid` is added.
    pub(crate) fn submit(&self, client: &Client, report: &str, pairs: &[(&str, &str)]) -> Answer {
        let mut all = vec![("orgUid", self.uid.as_str())];
        all.extend(pairs);
        client.get(&format!("/analytics/v2/{report}?{}", query(&all)), &[("authtoken", &self.authtoken)])
    }

    /// Retrieve Data; `more` may hold `&page=…`.
    pub(crate) fn retrieve(&self, client: &Client, job_id: &str, more: &str) -> Answer {
        self.retrieve_with(client, job_id, more, &[])
    }

    pub(crate) fn retrieve_with(&self, client: &Client, job_id: &str, more: &str, headers: &[(&str, &str)]) -> Answer {
        let path = format!("/analytics/v2/job/{job_id}/data?orgUid={}{more}", self.uid);
        client.get(&path, &[&[("authtoken", self.authtoken.as_str())], headers].concat())
    }

    /// Waits until the job is no longer active, and takes the answer for page 0.
    pub(crate) fn ended(&self, client: &Client, job_id: &str) -> Answer {
        wait_for(&format!("{job_id} to end"), || {
            let answer = self.retrieve(client, job_id, "");
            let active = answer.status == 200 && answer.header("x-page-count").is_none();
            if active {
                assert_eq!(answer.json()["message"], "Job active", "{}", answer.shown());
            }
            (!active).then_some(answer)
        })
    }

    /// Asks for a report, waits until it is there, and takes all of its pages.
    pub(crate) fn report(&self, client: &Client, report: &str, pairs: &[(&str, &str)]) -> Finished {
        let accepted = self.submit(client, report, pairs).ok().json();
        let job_id = accepted["jobId"].as_str().unwrap().to_owned();
        let first = self.ended(client, &job_id).ok();
        let count = first.count("x-page-count");
        let others = (1..count).map(|page| self.retrieve(client, &job_id, &format!("&page={page}")).ok());
        Finished { job_id: job_id.clone(), pages: std::iter::once(first).chain(others).collect() }
    }

    /// Sends a body of events.
    pub(crate) fn post(&self, client: &Client, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.post_to(client, "/ingest/v1/requests", headers, body)
    }

    pub(crate) fn post_to(&self, client: &Client, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let typed = headers.iter().any(|(name, _)| *name == "content-type");
        let media_type = ("content-type", "application/x-ndjson");
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend((!typed).then_some(media_type));
        all.extend(headers);
        client.send("POST", path, &all, Some(body))
    }

    /// Sends lines, and takes the receipt.
    pub(crate) fn take_in(&self, client: &Client, body: &str) -> Value {
        self.post(client, &[], body.as_bytes()).ok().json()
    }

    /// Sends events, all of which must be accepted.
    pub(crate) fn take_in_events(&self, client: &Client, events: &[Event]) {
        let receipt = self.take_in(client, &lines(events, &self.stacks));
        assert_eq!(receipt["accepted"], events.len(), "{receipt}");
    }

    /// How many events of these days are counted, over all services.
    pub(crate) fn counted(&self, client: &Client, from: &str, to: &str) -> u64 {
        let pairs = [("from", from), ("to", to), ("services", ALL_SERVICES), ("duration", "month")];
        let page = self.report(client, "http-statuses", &pairs).pages[0].json();
        page["data"].as_array().unwrap().iter().map(|row| row["count"].as_u64().unwrap()).sum()
    }
}

/// Every service, as a value of `services`.
pub(crate) const ALL_SERVICES: &str = r#"["cma","ui","cdn","graphql","images","assets","automations","launch"]"#;

impl Finished {
    /// The rows of all pages.
    pub(crate) fn rows(&self) -> Vec<Value> {
        self.pages.iter().flat_map(|page| page.json()["data"].as_array().unwrap().clone()).collect()
    }

    /// The pages as texts without what differs from one job or organization to the next.
    pub(crate) fn texts(&self, tenant: &Tenant) -> Vec<String> {
        let stacks = tenant.stacks.iter().enumerate();
        let replaced: Vec<(&str, String)> =
            stacks.map(|(at, stack)| (stack.as_str(), format!("<stack {at}>"))).collect();
        let text = |page: &Answer| {
            let uid = page.json()["uid"].as_str().unwrap().to_owned();
            let text = page.text().replace(&uid, "<uid>").replace(tenant.uid.as_str(), "<organization>");
            replaced.iter().fold(text, |text, (key, shown)| text.replace(key, shown))
        };
        self.pages.iter().map(text).collect()
    }
}
