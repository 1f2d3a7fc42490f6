//! `tally member`: which user has which role in which organization.

use anyhow::anyhow;
use serde_json::json;
use tally_storage::catalog::{Catalog, Email, Member, Role};
use tally_storage::error::StorageError;
use tally_storage::ids::OrganizationUid;

use super::lookup;
use crate::output::{Column, Output};

/// What `tally member` can do.
#[derive(Debug, clap::Subcommand)]
pub enum MemberCommand {
    /// Make a user a member of one more organization
    ///
    /// The user has to exist; `tally user create` makes one.
    #[command(
        after_help = "Example:\n  tally member add --org blt0123456789abcdef --email ada@example.com --role admin"
    )]
    Add {
        /// Whose membership
        #[command(flatten)]
        of: MemberArgs,
        /// `owner`, `admin` or `member`
        #[arg(long)]
        role: Role,
    },
    /// Give a member another role
    #[command(
        after_help = "Example:\n  tally member change --org blt0123456789abcdef --email ada@example.com --role member"
    )]
    Change {
        /// Whose membership
        #[command(flatten)]
        of: MemberArgs,
        /// `owner`, `admin` or `member`
        #[arg(long)]
        role: Role,
    },
    /// End a membership; the user stays
    #[command(after_help = "Example:\n  tally member remove --org blt0123456789abcdef --email ada@example.com")]
    Remove {
        /// Whose membership
        #[command(flatten)]
        of: MemberArgs,
    },
    /// List an organization's members and their roles
    #[command(after_help = "Example:\n  tally member list --org blt0123456789abcdef")]
    List {
        /// The organization's uid
        #[arg(long, value_name = "UID")]
        org: OrganizationUid,
    },
}

/// Which membership.
#[derive(Debug, clap::Args)]
pub struct MemberArgs {
    /// The organization's uid
    #[arg(long, value_name = "UID")]
    pub org: OrganizationUid,
    /// The user's email address
    #[arg(long)]
    pub email: Email,
}

const COLUMNS: &[Column<Member>] = &[
    ("uid", |member| member.uid.to_string()),
    ("email", |member| member.email.to_string()),
    ("role", |member| member.role.to_string()),
];

impl MemberCommand {
    /// Does it.
    ///
    /// # Errors
    /// When the organization, the user or the membership does not exist, or the catalog does not answer.
    pub async fn run(self, catalog: &Catalog, out: &mut Output) -> anyhow::Result<()> {
        match self {
            Self::Add { of, role } => add(of, role, catalog, out).await,
            Self::Change { of: MemberArgs { org, email }, role } => {
                let (user, before) = lookup::member(catalog, &org, &email).await?;
                catalog.change_role(&org, &user.uid, role).await?;
                out.answer(
                    &json!({"organization": org, "uid": user.uid, "role": role}),
                    format_args!("user `{email}` is `{role}` of organization `{org}`, and was `{before}`"),
                )
            }
            Self::Remove { of: MemberArgs { org, email } } => {
                let (user, before) = lookup::member(catalog, &org, &email).await?;
                catalog.remove_member(&org, &user.uid).await?;
                out.answer(
                    &json!({"organization": org, "uid": user.uid}),
                    format_args!("user `{email}` is no member of organization `{org}` any more, and was `{before}`"),
                )
            }
            Self::List { org } => {
                let uid = lookup::organization(catalog, &org).await?.uid;
                out.list(&catalog.members_of(&uid).await?, COLUMNS)
            }
        }
    }
}

async fn add(of: MemberArgs, role: Role, catalog: &Catalog, out: &mut Output) -> anyhow::Result<()> {
    let MemberArgs { org, email } = of;
    lookup::organization(catalog, &org).await?;
    let user = lookup::user(catalog, &email).await?;
    catalog.add_member(&org, &user.uid, role).await.map_err(|error| match error {
        StorageError::AlreadyMember { .. } => anyhow!(
            "user `{email}` is already a member of organization `{org}`; `tally member change` gives them another role"
        ),
        other => other.into(),
    })?;
    out.answer(
        &json!({"organization": org, "uid": user.uid, "role": role}),
        format_args!("user `{email}` is `{role}` of organization `{org}`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::operator::Operator;

    #[tokio::test]
    async fn a_member_is_added_changed_listed_and_removed() {
        let operator = Operator::new().await;
        let (home, org) = (operator.organization().await, operator.organization().await);
        let user = operator.user(&home, "ada@example.com", Role::Owner).await;
        let which = format!("--org {org} --email ADA@example.com");

        let added = operator.json(&format!("member add {which} --role member")).await;
        assert_eq!(added, json!({"organization": org, "uid": user, "role": "member"}));
        let changed = operator.text(&format!("member change {which} --role admin")).await;
        assert_eq!(changed, format!("user `ada@example.com` is `admin` of organization `{org}`, and was `member`\n"));
        let listed = operator.json(&format!("member list --org {org}")).await;
        assert_eq!((&listed[0]["email"], &listed[0]["role"]), (&json!("ada@example.com"), &json!("admin")));
        operator.json(&format!("member remove {which}")).await;
        assert_eq!(operator.json(&format!("member list --org {org}")).await, json!([]));
        assert_eq!(operator.catalog.role_in(&user, &home).await.unwrap(), Some(Role::Owner));
    }

    #[tokio::test]
    async fn what_stands_in_the_way_is_named_with_the_command_that_helps() {
        let operator = Operator::new().await;
        let (home, org) = (operator.organization().await, operator.organization().await);
        operator.user(&home, "ada@example.com", Role::Owner).await;
        let twice = operator.error(&format!("member add --org {home} --email ada@example.com --role admin")).await;
        assert!(twice.ends_with("`tally member change` gives them another role"), "{twice}");
        let nobody = operator.error(&format!("member add --org {org} --email bob@example.com --role admin")).await;
        assert!(nobody.ends_with("`tally user list` shows those that do"), "{nobody}");
        for command in ["remove", "change --role admin"] {
            let stranger = operator.error(&format!("member {command} --org {org} --email ada@example.com")).await;
            assert!(stranger.ends_with(&format!("`tally member list --org {org}` shows who is")), "{stranger}");
        }
    }
}
