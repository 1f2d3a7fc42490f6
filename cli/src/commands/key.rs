//! `tally key`: ingest keys, which senders of events carry.

use anyhow::ensure;
use clap::ArgGroup;
use serde_json::json;
use tally_storage::catalog::{Catalog, IngestKey, IngestKeyId};
use tally_storage::ids::OrganizationUid;

use super::lookup;
use crate::output::{Column, Output, time_cell};
use crate::prompt::Prompt;

/// What `tally key` can do.
#[derive(Debug, clap::Subcommand)]
pub enum KeyCommand {
    /// Make an ingest key
    ///
    /// It is shown this once; Tally keeps only its digest. It opens the ingest of this organization and nothing else.
    /// Senders carry it as `Authorization: Bearer <key>`.
    #[command(after_help = "Example:\n  tally key create --org blt0123456789abcdef --json")]
    Create {
        /// The organization's uid
        #[arg(long, value_name = "UID")]
        org: OrganizationUid,
    },
    /// List an organization's ingest keys, the oldest first, without the secrets
    #[command(after_help = "Example:\n  tally key list --org blt0123456789abcdef")]
    List {
        /// The organization's uid
        #[arg(long, value_name = "UID")]
        org: OrganizationUid,
    },
    /// End an ingest key at once
    #[command(
        group(ArgGroup::new("which").args(["id", "key_stdin"]).required(true)),
        after_help = "Examples:\n  tally key revoke --id key_01890a5d-ac96-774b-bcce-b302099a8057\n  \
                            tally key revoke --key-stdin < key.txt"
    )]
    Revoke {
        /// Its id, as `tally key list` shows it
        #[arg(long)]
        id: Option<String>,
        /// Read the key itself from standard input: one line
        #[arg(long)]
        key_stdin: bool,
    },
}

const COLUMNS: &[Column<IngestKey>] = &[("id", |key| key.id.to_string()), ("created", |key| time_cell(key.created_at))];

impl KeyCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the organization or the key does not exist, or the catalog does not answer.
    pub async fn run(self, catalog: &Catalog, prompt: &mut Prompt, out: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::Create { org } => {
                let uid = lookup::organization(catalog, &org).await?.uid;
                let key = catalog.create_ingest_key(&uid).await?;
                out.answer(
                    &json!({"key": key}),
                    format_args!("ingest key of organization `{uid}`, shown this once: {key}"),
                )
            }
            Self::List { org } => {
                let uid = lookup::organization(catalog, &org).await?.uid;
                out.list(&catalog.ingest_keys_of(&uid).await?, COLUMNS)
            }
            Self::Revoke { id: Some(id), .. } => {
                let revoked = catalog.revoke_ingest_key_by_id(&IngestKeyId::from(id.clone())).await?;
                ensure!(revoked, "ingest key `{id}` does not exist; `tally key list` shows an organization's keys");
                out.answer(&json!({"revoked": true}), format_args!("ingest key `{id}` revoked"))
            }
            Self::Revoke { id: None, .. } => {
                let revoked = catalog.revoke_ingest_key(&prompt.line()?).await?;
                ensure!(revoked, "the line on standard input is no valid ingest key; nothing was revoked");
                out.answer(&json!({"revoked": true}), "the ingest key is revoked")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::operator::Operator;

    #[tokio::test]
    async fn a_key_is_made_listed_without_its_secret_and_revoked_by_id() {
        let operator = Operator::new().await;
        let org = operator.organization().await;
        let made = operator.json(&format!("key create --org {org}")).await;
        let key = made["key"].as_str().unwrap();
        assert_eq!(operator.catalog.organization_of_ingest_key(key).await.unwrap(), Some(org.clone()));

        let listed = operator.json(&format!("key list --org {org}")).await;
        let id = listed[0]["id"].as_str().unwrap();
        assert_eq!(listed, json!([{"id": id, "created_at": "2026-03-01T12:00:00Z"}]));
        assert_eq!(operator.json(&format!("key revoke --id {id}")).await, json!({"revoked": true}));
        assert_eq!(operator.catalog.organization_of_ingest_key(key).await.unwrap(), None);
        let error = operator.error(&format!("key revoke --id {id}")).await;
        assert_eq!(error, format!("ingest key `{id}` does not exist; `tally key list` shows an organization's keys"));
    }

    #[tokio::test]
    async fn a_key_is_revoked_by_itself_and_never_repeated() {
        let operator = Operator::new().await;
        let org = operator.organization().await;
        let key = operator.catalog.create_ingest_key(&org).await.unwrap();
        let said = operator.piping(&format!("{key}\n"), "key revoke --key-stdin").await.unwrap();
        assert!(!said.contains(&key), "{said}");
        assert_eq!(operator.catalog.organization_of_ingest_key(&key).await.unwrap(), None);
        let error = operator.piping(&format!("{key}\n"), "key revoke --key-stdin").await.unwrap_err();
        assert!(!error.to_string().contains(&key), "{error}");
    }

    #[tokio::test]
    async fn a_key_needs_an_organization() {
        let error = Operator::new().await.error("key create --org blt0000000000000000").await;
        assert!(error.starts_with("organization `blt0000000000000000` does not exist"), "{error}");
    }
}
