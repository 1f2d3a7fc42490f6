//! What the API answers: a job, where it stands, a page, an error.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use ureq::http::StatusCode;

/// The answer to a request for a report.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Submitted {
    pub(super) job_id: String,
}

/// The answer to a request for a page.
#[derive(Debug)]
pub(super) enum Retrieved {
    /// It is not there yet.
    Active {
        /// 0 to 1.
        progress: f64,
        /// When the server thinks that it is there.
        retry_after: Duration,
    },
    /// It is there.
    Page(Page),
}

/// One page.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    /// The rows, and in the last page perhaps the marker.
    pub(super) data: Vec<Map<String, Value>>,
    /// The request that was answered.
    pub(super) meta: Value,
    /// How many pages there are; said by a header.
    #[serde(skip)]
    pub(super) of: u64,
}

/// The body of *Job active*.
#[derive(Debug, Deserialize)]
pub(super) struct Active {
    pub(super) progress: f64,
}

/// The body of every error.
#[derive(Debug, Deserialize)]
struct Envelope {
    error_message: String,
    #[serde(default)]
    errors: BTreeMap<String, Vec<String>>,
}

/// An error as people read it: the sentence, then each fault on a line of its own.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> String {
    let Ok(envelope) = serde_json::from_slice::<Envelope>(body) else {
        return format!("the server answers {status}");
    };
    let sentence = format!("{} (HTTP {})", envelope.error_message, status.as_u16());
    let faults = envelope.errors.iter().flat_map(|(field, faults)| faults.iter().map(move |fault| (field, fault)));
    faults.fold(sentence, |text, (field, fault)| format!("{text}\n  {field}: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_an_error_is_on_a_line_of_its_own() {
        let body = br#"{"error_message":"The request is not valid.","error_code":119,
            "errors":{"to":["lies before `from`."],"limit":["`0` is not valid.","is given more than once."]}}"#;
        insta::assert_snapshot!(refusal(StatusCode::UNPROCESSABLE_ENTITY, body), @r"
        The request is not valid. (HTTP 422)
          limit: `0` is not valid.
          limit: is given more than once.
          to: lies before `from`.
        ");
    }

    #[test]
    fn an_answer_that_is_not_of_the_api_is_named_by_its_status() {
        let said = refusal(StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(said, "the server answers 502 Bad Gateway");
    }
}
