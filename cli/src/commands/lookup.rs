//! What the account commands share: finding what an option names, with an error that says where to look.

use anyhow::{Context as _, ensure};
use tally_storage::catalog::{Catalog, Email, Organization, Role, User};
use tally_storage::ids::OrganizationUid;

const MAX_NAME_CHARS: usize = 200;

/// The organization that `--org` names.
pub(super) async fn organization(catalog: &Catalog, uid: &OrganizationUid) -> anyhow::Result<Organization> {
    let found = catalog.organization(uid).await?;
    found.with_context(|| format!("organization `{uid}` does not exist; `tally org list` shows those that do"))
}

/// The user that `--email` names.
pub(super) async fn user(catalog: &Catalog, email: &Email) -> anyhow::Result<User> {
    let found = catalog.user_by_email(email).await?;
    found.with_context(|| format!("user `{email}` does not exist; `tally user list` shows those that do"))
}

/// The user that `--email` names, who has to be a member of the organization that `--org` names.
pub(super) async fn member(catalog: &Catalog, org: &OrganizationUid, email: &Email) -> anyhow::Result<(User, Role)> {
    let organization = organization(catalog, org).await?;
    let user = user(catalog, email).await?;
    let role = catalog.role_in(&user.uid, &organization.uid).await?;
    let role = role.with_context(|| {
        format!("user `{email}` is no member of organization `{org}`; `tally member list --org {org}` shows who is")
    })?;
    Ok((user, role))
}

/// A name as an operator may give it: one that a table can show on one line.
pub(super) fn name(text: &str) -> anyhow::Result<String> {
    let name = text.trim();
    let chars = name.chars().count();
    ensure!(chars > 0, "a name has at least one character that is no blank");
    ensure!(chars <= MAX_NAME_CHARS, "the name has {chars} characters: expected at most {MAX_NAME_CHARS}");
    ensure!(!name.chars().any(char::is_control), "`{}` has a control character", name.escape_debug());
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_fits_a_line() {
        assert_eq!(name("  Acme & Söhne ").unwrap(), "Acme & Söhne");
        assert!(name(&"é".repeat(200)).is_ok());
        for wrong in ["", " \t", "two\nlines", "\u{1b}[31mred"] {
            assert!(name(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(
            name(&"x".repeat(201)).unwrap_err().to_string(),
            "the name has 201 characters: expected at most 200"
        );
    }
}
