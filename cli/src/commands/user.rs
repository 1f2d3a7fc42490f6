//! `tally user`: people who log in.

use anyhow::anyhow;
use serde_json::json;
use tally_storage::catalog::{Catalog, Email, Role, User};
use tally_storage::error::StorageError;
use tally_storage::ids::OrganizationUid;

use super::lookup;
use crate::output::{Column, Output, time_cell};
use crate::prompt::Prompt;

/// What `tally user` can do.
#[derive(Debug, clap::Subcommand)]
pub enum UserCommand {
    /// Make a user, as a member of one organization
    ///
    /// The email address and the password open `POST /v3/user-session`. Owners and admins may ask for reports, members
    /// may not. Without `--password-stdin` the password is asked for on the terminal.
    #[command(after_help = "Example:\n  tally user create --org blt0123456789abcdef --email ada@example.com \
                            --role owner --password-stdin < password.txt")]
    Create {
        /// The organization's uid
        #[arg(long, value_name = "UID")]
        org: OrganizationUid,
        /// By which they log in; no two users have the same
        #[arg(long)]
        email: Email,
        /// `owner`, `admin` or `member`
        #[arg(long)]
        role: Role,
        /// Read the password from standard input: one line, at least 8 characters
        #[arg(long)]
        password_stdin: bool,
    },
    /// List the users by email address
    #[command(after_help = "Example:\n  tally user list --org blt0123456789abcdef")]
    List {
        /// Only the members of this organization; `tally member list` shows their roles
        #[arg(long, value_name = "UID")]
        org: Option<OrganizationUid>,
    },
    /// Give a user another password, and end all of their authtokens
    #[command(after_help = "Example:\n  tally user password --email ada@example.com --password-stdin < password.txt")]
    Password {
        /// The user's email address
        #[arg(long)]
        email: Email,
        /// Read the password from standard input: one line, at least 8 characters
        #[arg(long)]
        password_stdin: bool,
    },
    /// Delete a user with their memberships and authtokens
    ///
    /// This cannot be undone. On a terminal the email address has to be typed again, elsewhere `--yes` is needed.
    /// To take a user out of one organization only, use `tally member remove`.
    #[command(after_help = "Example:\n  tally user delete --email ada@example.com --yes")]
    Delete {
        /// The user's email address
        #[arg(long)]
        email: Email,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

const COLUMNS: &[Column<User>] = &[
    ("uid", |user| user.uid.to_string()),
    ("email", |user| user.email.to_string()),
    ("created", |user| time_cell(user.created_at)),
];

impl UserCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the organization or the user does not exist, the email address is taken, the password is unfit, a deletion
    /// is not confirmed, or the catalog does not answer.
    pub async fn run(self, catalog: &Catalog, prompt: &mut Prompt, out: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::Create { org, email, role, password_stdin } => {
                // Looked up before the password is asked for: nobody likes to type one for nothing.
                lookup::organization(catalog, &org).await?;
                let password = prompt.new_password(password_stdin)?;
                let uid = catalog.create_user(&org, &email, role, &password).await.map_err(|error| match error {
                    StorageError::EmailTaken(email) => anyhow!(
                        "a user with the email address `{email}` exists already; \
                         `tally member add --org {org} --email {email} --role {role}` makes them a member"
                    ),
                    other => other.into(),
                })?;
                out.answer(&json!({"uid": uid}), format_args!("user `{uid}` (`{email}`) made"))
            }
            Self::List { org } => out.list(&users(org, catalog).await?, COLUMNS),
            Self::Password { email, password_stdin } => {
                let uid = lookup::user(catalog, &email).await?.uid;
                catalog.set_password(&uid, &prompt.new_password(password_stdin)?).await?;
                out.answer(
                    &json!({"uid": uid}),
                    format_args!("user `{email}` has another password, and no authtoken any more"),
                )
            }
            Self::Delete { email, yes } => {
                let uid = lookup::user(catalog, &email).await?.uid;
                let consequence = format!("this deletes user `{email}` with their memberships and authtokens");
                prompt.confirm(&consequence, email.as_str(), yes)?;
                catalog.delete_user(&uid).await?;
                out.answer(&json!({"uid": uid}), format_args!("user `{email}` deleted"))
            }
        }
    }
}

async fn users(org: Option<OrganizationUid>, catalog: &Catalog) -> anyhow::Result<Vec<User>> {
    let Some(org) = org else {
        return Ok(catalog.users().await?);
    };
    let members = catalog.members_of(&lookup::organization(catalog, &org).await?.uid).await?;
    Ok(members
        .into_iter()
        .map(|member| User { uid: member.uid, email: member.email, created_at: member.created_at })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::operator::Operator;

    fn create(org: &OrganizationUid, email: &str) -> String {
        format!("user create --org {org} --email {email} --role admin --password-stdin")
    }

    #[tokio::test]
    async fn a_made_user_can_log_in_and_is_listed() {
        let operator = Operator::new().await;
        let org = operator.organization().await;
        let made = operator.piping("correct horse\n", &create(&org, "Ada@Example.com")).await.unwrap();
        let user = operator.catalog.verify_password("ada@example.com", "correct horse").await.unwrap().unwrap();
        assert_eq!(made, format!("{{\"uid\":\"{}\"}}\n", user.uid));

        let expected = json!([{"uid": user.uid, "email": "ada@example.com", "created_at": "2026-03-01T12:00:00Z"}]);
        assert_eq!(operator.json("user list").await, expected);
        assert_eq!(operator.json(&format!("user list --org {org}")).await, expected);
        let other = operator.organization().await;
        assert_eq!(operator.json(&format!("user list --org {other}")).await, json!([]));
    }

    #[tokio::test]
    async fn a_taken_address_is_refused_with_the_command_that_helps() {
        let operator = Operator::new().await;
        let org = operator.organization().await;
        operator.user(&org, "ada@example.com", Role::Owner).await;
        let error = operator.piping("correct horse\n", &create(&org, "ada@example.com")).await.unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "a user with the email address `ada@example.com` exists already; \
                 `tally member add --org {org} --email ada@example.com --role admin` makes them a member"
            )
        );
    }

    #[tokio::test]
    async fn a_password_comes_from_standard_input_and_is_never_written() {
        let operator = Operator::new().await;
        let org = operator.organization().await;
        let line = create(&org, "ada@example.com");
        let error = operator.piping("hunter2\n", &line).await.unwrap_err().to_string();
        assert_eq!(error, "the password has 7 characters: expected at least 8");
        let error = operator.error(line.trim_end_matches(" --password-stdin")).await;
        assert!(error.ends_with("send it as a line to `--password-stdin`"), "{error}");
        assert_eq!(operator.json("user list").await, json!([]));
    }

    #[tokio::test]
    async fn another_password_takes_the_place_of_the_first() {
        let operator = Operator::new().await;
        let org = operator.organization().await;
        operator.piping("correct horse\n", &create(&org, "ada@example.com")).await.unwrap();
        let line = "user password --email ada@example.com --password-stdin";
        operator.piping("battery staple\n", line).await.unwrap();
        let catalog = &operator.catalog;
        assert!(catalog.verify_password("ada@example.com", "battery staple").await.unwrap().is_some());
        assert!(catalog.verify_password("ada@example.com", "correct horse").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_user_is_deleted_after_their_address_was_typed() {
        let operator = Operator::new().await;
        let org = operator.organization().await;
        operator.user(&org, "ada@example.com", Role::Owner).await;
        let line = "user delete --email ada@example.com";
        assert!(operator.error(line).await.ends_with("confirm with `--yes`"));
        operator.typing("bob@example.com\n", line).await.unwrap_err();
        operator.typing("ada@example.com\n", line).await.unwrap();
        let error = operator.error(&format!("{line} --yes")).await;
        assert_eq!(error, "user `ada@example.com` does not exist; `tally user list` shows those that do");
    }
}
