//! `meta`: the request that a result answers, echoed in the types that clients of the v2 API know.

use serde_json::{Map, Value, json};
use tally_jobs::parameters::{Parameter, Parameters};
use tally_jobs::reports::About;
use tally_storage::events::requests::Service;
use tally_storage::ids::OrganizationUid;

/// The effective request: what was given, and the defaults of what was not.
pub(crate) fn meta(organization: &OrganizationUid, about: &About, parameters: &Parameters) -> Map<String, Value> {
    let mut meta = Map::new();
    meta.insert("orgUid".to_owned(), json!(organization));
    meta.insert("from".to_owned(), json!(parameters.days.from));
    meta.insert("to".to_owned(), json!(parameters.days.to));
    for accepted in about.parameters {
        if let Some(value) = echo(accepted.parameter, about, parameters) {
            meta.insert(accepted.parameter.name().to_owned(), value);
        }
    }
    meta
}

fn echo(parameter: Parameter, about: &About, given: &Parameters) -> Option<Value> {
    match parameter {
        Parameter::Services => Some(Value::String(services(&given.services))),
        Parameter::Duration => Some(json!(given.duration)),
        Parameter::IncludeCount if about.paginated => Some(Value::Bool(given.include_count.unwrap_or(true))),
        // Without counts to include it changes nothing, and is echoed as it came.
        Parameter::IncludeCount | Parameter::IncludeTotalCount => {
            given.include_count.map(|include| Value::String(include.to_string()))
        }
        Parameter::OrderBy => Some(json!(if given.ascending { 1 } else { -1 })),
        Parameter::Skip => Some(json!(given.skip)),
        Parameter::Limit => Some(json!(given.limit)),
        Parameter::ApiKey => given.api_key.as_ref().map(|value| json!(value)),
        Parameter::HttpStatusCode => given.status.map(|status| Value::String(status.to_string())),
        Parameter::Cache => given.cache.map(|state| json!(state)),
        Parameter::ProjectUid => given.project_uid.as_ref().map(|value| json!(value)),
        Parameter::EnvironmentUid => given.environment_uid.as_ref().map(|value| json!(value)),
    }
}

/// A JSON array as a text.
fn services(services: &[Service]) -> String {
    json!(services).to_string()
}
