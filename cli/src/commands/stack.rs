//! `tally stack`: stacks, by which an organization's events may be told apart.

use anyhow::ensure;
use serde_json::json;
use tally_storage::catalog::{Catalog, Stack};
use tally_storage::ids::OrganizationUid;

use super::lookup;
use crate::output::{Column, Output, time_cell};

/// What `tally stack` can do.
#[derive(Debug, clap::Subcommand)]
pub enum StackCommand {
    /// Make a stack
    ///
    /// Events name it by its API key, as `api_key`, and reports may be asked for one stack, as `apiKey`. The API key
    /// is no secret.
    #[command(after_help = "Example:\n  tally stack create --org blt0123456789abcdef --name Blog")]
    Create {
        /// The organization's uid
        #[arg(long, value_name = "UID")]
        org: OrganizationUid,
        /// Its name, for people; two may have the same
        #[arg(long, value_parser = lookup::name)]
        name: String,
    },
    /// List an organization's stacks, the oldest first
    #[command(after_help = "Example:\n  tally stack list --org blt0123456789abcdef")]
    List {
        /// The organization's uid
        #[arg(long, value_name = "UID")]
        org: OrganizationUid,
    },
    /// Delete a stack
    ///
    /// Its events stay in the reports of the organization. New events that name it are rejected, and so are requests
    /// for its reports.
    #[command(after_help = "Example:\n  tally stack delete --org blt0123456789abcdef --api-key bltfedcba9876543210")]
    Delete {
        /// The organization's uid
        #[arg(long, value_name = "UID")]
        org: OrganizationUid,
        /// The stack's API key, as `tally stack list` shows it
        #[arg(long)]
        api_key: String,
    },
}

const COLUMNS: &[Column<Stack>] = &[
    ("api key", |stack| stack.api_key.clone()),
    ("name", |stack| stack.name.clone()),
    ("created", |stack| time_cell(stack.created_at)),
];

impl StackCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the organization or the stack does not exist, or the catalog does not answer.
    pub async fn run(self, catalog: &Catalog, out: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::Create { org, name } => {
                let uid = lookup::organization(catalog, &org).await?.uid;
                let api_key = catalog.create_stack(&uid, &name).await?;
                out.answer(&json!({"api_key": api_key}), format_args!("stack `{api_key}` (`{name}`) made"))
            }
            Self::List { org } => {
                let uid = lookup::organization(catalog, &org).await?.uid;
                out.list(&catalog.stacks_of(&uid).await?, COLUMNS)
            }
            Self::Delete { org, api_key } => {
                let uid = lookup::organization(catalog, &org).await?.uid;
                let deleted = catalog.delete_stack(&uid, &api_key).await?;
                ensure!(
                    deleted,
                    "`{api_key}` is no stack of organization `{uid}`; `tally stack list --org {uid}` shows those that are"
                );
                out.answer(&json!({"api_key": api_key}), format_args!("stack `{api_key}` deleted"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::operator::Operator;

    #[tokio::test]
    async fn a_stack_is_made_listed_and_deleted() {
        let operator = Operator::new().await;
        let org = operator.organization().await;
        let made = operator.json(&format!("stack create --org {org} --name Blog")).await;
        let api_key = made["api_key"].as_str().unwrap();
        assert!(operator.catalog.stack_belongs_to(api_key, &org).await.unwrap());
        let listed = operator.json(&format!("stack list --org {org}")).await;
        assert_eq!(listed, json!([{"api_key": api_key, "name": "Blog", "created_at": "2026-03-01T12:00:00Z"}]));
        assert_eq!(operator.json(&format!("stack delete --org {org} --api-key {api_key}")).await, made);
        assert_eq!(operator.text(&format!("stack list --org {org}")).await, "(none)\n");
    }

    #[tokio::test]
    async fn another_organizations_stack_is_not_deleted() {
        let operator = Operator::new().await;
        let (owner, other) = (operator.organization().await, operator.organization().await);
        let api_key = operator.catalog.create_stack(&owner, "Blog").await.unwrap();
        let error = operator.error(&format!("stack delete --org {other} --api-key {api_key}")).await;
        assert!(error.starts_with(&format!("`{api_key}` is no stack of organization `{other}`")), "{error}");
        assert!(operator.catalog.stack_belongs_to(&api_key, &owner).await.unwrap());
    }
}
