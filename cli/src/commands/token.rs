//! `tally token`: authtokens, which requests for reports carry.

use anyhow::ensure;
use clap::ArgGroup;
use serde_json::json;
use tally_storage::catalog::{Authtoken, AuthtokenId, Catalog, Email};
use tally_storage::ids::OrganizationUid;

use super::lookup;
use crate::output::{Column, Output, time_cell};
use crate::prompt::Prompt;

/// What `tally token` can do.
#[derive(Debug, clap::Subcommand)]
pub enum TokenCommand {
    /// Make an authtoken, as a login would
    ///
    /// It is shown this once; Tally keeps only its digest. It does not expire. A user has at most 20, and one more
    /// ends the oldest. Requests for reports carry it in the header `authtoken`.
    #[command(after_help = "Example:\n  tally token create --org blt0123456789abcdef --email ada@example.com --json")]
    Create {
        /// The uid of an organization that the user is a member of
        #[arg(long, value_name = "UID")]
        org: OrganizationUid,
        /// The user's email address
        #[arg(long)]
        email: Email,
    },
    /// List a user's authtokens, the oldest first, without the secrets
    #[command(after_help = "Example:\n  tally token list --email ada@example.com")]
    List {
        /// The user's email address
        #[arg(long)]
        email: Email,
    },
    /// End an authtoken at once
    #[command(
        group(ArgGroup::new("which").args(["id", "authtoken_stdin"]).required(true)),
        after_help = "Examples:\n  tally token revoke --id authtoken_01890a5d-ac96-774b-bcce-b302099a8057\n  \
                            tally token revoke --authtoken-stdin < token.txt"
    )]
    Revoke {
        /// Its id, as `tally token list` shows it
        #[arg(long)]
        id: Option<String>,
        /// Read the authtoken itself from standard input: one line
        #[arg(long)]
        authtoken_stdin: bool,
    },
}

const COLUMNS: &[Column<Authtoken>] =
    &[("id", |token| token.id.to_string()), ("created", |token| time_cell(token.created_at))];

impl TokenCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the organization, the user, the membership or the authtoken does not exist, or the catalog does not answer.
    pub async fn run(self, catalog: &Catalog, prompt: &mut Prompt, out: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::Create { org, email } => {
                let (user, _) = lookup::member(catalog, &org, &email).await?;
                let token = catalog.create_authtoken(&user.uid).await?;
                out.answer(
                    &json!({"authtoken": token}),
                    format_args!("authtoken of user `{email}`, shown this once: {token}"),
                )
            }
            Self::List { email } => {
                let uid = lookup::user(catalog, &email).await?.uid;
                out.list(&catalog.authtokens_of(&uid).await?, COLUMNS)
            }
            Self::Revoke { id: Some(id), .. } => {
                let revoked = catalog.revoke_authtoken_by_id(&AuthtokenId::from(id.clone())).await?;
                ensure!(revoked, "authtoken `{id}` does not exist; `tally token list` shows a user's authtokens");
                out.answer(&json!({"revoked": true}), format_args!("authtoken `{id}` revoked"))
            }
            Self::Revoke { id: None, .. } => {
                let revoked = catalog.revoke_authtoken(&prompt.line()?).await?;
                ensure!(revoked, "the line on standard input is no valid authtoken; nothing was revoked");
                out.answer(&json!({"revoked": true}), "the authtoken is revoked")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tally_storage::catalog::Role;

    use super::*;
    use crate::commands::operator::Operator;

    #[tokio::test]
    async fn an_authtoken_is_made_listed_without_its_secret_and_revoked_by_id() {
        let operator = Operator::new().await;
        let org = operator.organization().await;
        let user = operator.user(&org, "ada@example.com", Role::Admin).await;
        let made = operator.json(&format!("token create --org {org} --email ada@example.com")).await;
        let token = made["authtoken"].as_str().unwrap();
        assert_eq!(operator.catalog.user_of_authtoken(token).await.unwrap().unwrap().uid, user);

        let listed = operator.json("token list --email ada@example.com").await;
        let id = listed[0]["id"].as_str().unwrap();
        assert_eq!(listed, json!([{"id": id, "created_at": "2026-03-01T12:00:00Z"}]));
        assert_eq!(operator.json(&format!("token revoke --id {id}")).await, json!({"revoked": true}));
        assert_eq!(operator.catalog.user_of_authtoken(token).await.unwrap(), None);
        let error = operator.error(&format!("token revoke --id {id}")).await;
        assert_eq!(error, format!("authtoken `{id}` does not exist; `tally token list` shows a user's authtokens"));
    }

    #[tokio::test]
    async fn an_authtoken_is_revoked_by_itself_and_never_repeated() {
        let operator = Operator::new().await;
        let org = operator.organization().await;
        let user = operator.user(&org, "ada@example.com", Role::Admin).await;
        let token = operator.catalog.create_authtoken(&user).await.unwrap();
        let said = operator.piping(&format!("{token}\n"), "token revoke --authtoken-stdin").await.unwrap();
        assert!(!said.contains(&token), "{said}");
        assert_eq!(operator.catalog.user_of_authtoken(&token).await.unwrap(), None);
        let error = operator.piping(&format!("{token}\n"), "token revoke --authtoken-stdin").await.unwrap_err();
        assert!(!error.to_string().contains(&token), "{error}");
    }

    #[tokio::test]
    async fn only_a_member_gets_an_authtoken() {
        let operator = Operator::new().await;
        let (home, org) = (operator.organization().await, operator.organization().await);
        operator.user(&home, "ada@example.com", Role::Admin).await;
        let error = operator.error(&format!("token create --org {org} --email ada@example.com")).await;
        assert!(error.starts_with("user `ada@example.com` is no member of organization"), "{error}");
    }
}
