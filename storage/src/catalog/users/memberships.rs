//! Memberships: which user has which role in which organization.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};

use super::Email;
use crate::catalog::{Catalog, row};
use crate::error::StorageError;
use crate::ids::{OrganizationUid, UserUid};

/// What a user may do in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do all that an API allows.
    Owner,
    /// May do all that an API allows.
    Admin,
    /// Belongs to the organization, without a right to its reports.
    Member,
}

/// A text that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role: expected `owner`, `admin` or `member`")]
pub struct UnknownRole(String);

impl Role {
    /// Every role, the mightiest first.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Admin, Self::Member];

    /// As text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }

    /// Whether the role may ask for reports.
    #[must_use]
    pub const fn may_report(self) -> bool {
        matches!(self, Self::Owner | Self::Admin)
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// One of a user's organizations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Membership {
    /// The organization.
    pub organization: OrganizationUid,
    /// Its name.
    pub name: String,
    /// What the user may do in it.
    pub role: Role,
}

impl FromRow<'_, AnyRow> for Membership {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            organization: row::parsed(row, "organization")?,
            name: row.try_get("name")?,
            role: row::parsed(row, "role")?,
        })
    }
}

/// One of an organization's users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The user.
    pub uid: UserUid,
    /// By which they log in.
    pub email: Email,
    /// What they may do in the organization.
    pub role: Role,
    /// When the user was made; they may have become a member later.
    pub created_at: DateTime<Utc>,
}

impl FromRow<'_, AnyRow> for Member {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            uid: row::parsed(row, "uid")?,
            email: row::parsed(row, "email")?,
            role: row::parsed(row, "role")?,
            created_at: row::time(row, "created_at")?,
        })
    }
}

impl Catalog {
    /// The organizations of a user, by name.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn organizations_of(&self, user: &UserUid) -> Result<Vec<Membership>, StorageError> {
        let text = "select m.organization, o.name, m.role from memberships m \
                    join organizations o on o.uid = m.organization where m.user_uid = $1 order by o.name, o.uid";
        Ok(sqlx::query_as(text).bind(user.as_str()).fetch_all(&self.reader).await?)
    }

    /// The users of an organization, by email address. Empty if the organization does not exist.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn members_of(&self, organization: &OrganizationUid) -> Result<Vec<Member>, StorageError> {
        let text = "select u.uid, u.email, m.role, u.created_at from memberships m \
                    join users u on u.uid = m.user_uid where m.organization = $1 order by u.email";
        Ok(sqlx::query_as(text).bind(organization.as_str()).fetch_all(&self.reader).await?)
    }

    /// What a user may do in an organization; none if they are no member, or either does not exist.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn role_in(&self, user: &UserUid, organization: &OrganizationUid) -> Result<Option<Role>, StorageError> {
        let text = "select role from memberships where organization = $1 and user_uid = $2";
        let query = sqlx::query(text).bind(organization.as_str()).bind(user.as_str());
        let row = query.fetch_optional(&self.reader).await?;
        Ok(row.map(|row| row::parsed(&row, "role")).transpose()?)
    }

    /// Makes a user a member of one more organization.
    ///
    /// # Errors
    /// When they are a member already, or either does not exist.
    pub async fn add_member(
        &self,
        organization: &OrganizationUid,
        user: &UserUid,
        role: Role,
    ) -> Result<(), StorageError> {
        let text = "insert into memberships (organization, user_uid, role) values ($1, $2, $3)";
        let inserted = sqlx::query(text)
            .bind(organization.as_str())
            .bind(user.as_str())
            .bind(role.as_str())
            .execute(&self.writer)
            .await;
        let Err(error) = inserted else { return Ok(()) };
        match error.as_database_error() {
            Some(database) if database.is_unique_violation() => {
                Err(StorageError::AlreadyMember { user: user.clone(), organization: organization.clone() })
            }
            Some(database) if database.is_foreign_key_violation() => match self.organization(organization).await? {
                Some(_) => Err(StorageError::NoSuchUser(user.clone())),
                None => Err(StorageError::NoSuchOrganization(organization.clone())),
            },
            _ => Err(error.into()),
        }
    }

    /// Gives a member another role. False if they are no member.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn change_role(
        &self,
        organization: &OrganizationUid,
        user: &UserUid,
        role: Role,
    ) -> Result<bool, StorageError> {
        let text = "update memberships set role = $3 where organization = $1 and user_uid = $2";
        let done = sqlx::query(text)
            .bind(organization.as_str())
            .bind(user.as_str())
            .bind(role.as_str())
            .execute(&self.writer)
            .await?;
        self.recent.forget();
        Ok(done.rows_affected() > 0)
    }

    /// Ends a membership; the user and their other organizations stay. False if they were no member.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn remove_member(&self, organization: &OrganizationUid, user: &UserUid) -> Result<bool, StorageError> {
        let text = "delete from memberships where organization = $1 and user_uid = $2";
        let done = sqlx::query(text).bind(organization.as_str()).bind(user.as_str()).execute(&self.writer).await?;
        self.recent.forget();
        Ok(done.rows_affected() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::organizations::tests::{catalog, nobody};
    use crate::catalog::users::tests::user_of;

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        let error = "Owner".parse::<Role>().unwrap_err().to_string();
        assert_eq!(error, "`Owner` is no role: expected `owner`, `admin` or `member`");
    }

    #[test]
    fn owners_and_admins_may_report_and_members_may_not() {
        assert_eq!(Role::ALL.map(Role::may_report), [true, true, false]);
    }

    #[tokio::test]
    async fn a_membership_is_added_changed_and_removed() {
        let (catalog, _clock, _folder) = catalog().await;
        let first = catalog.create_organization("First").await.unwrap();
        let second = catalog.create_organization("Another").await.unwrap();
        let user = user_of(&catalog, &first, "a@example.com", Role::Owner).await;

        catalog.add_member(&second, &user, Role::Member).await.unwrap();
        assert!(catalog.change_role(&second, &user, Role::Admin).await.unwrap());
        let listed = catalog.organizations_of(&user).await.unwrap();
        let listed: Vec<_> = listed.iter().map(|one| (&one.organization, one.name.as_str(), one.role)).collect();
        assert_eq!(listed, [(&second, "Another", Role::Admin), (&first, "First", Role::Owner)]);

        assert!(catalog.remove_member(&second, &user).await.unwrap());
        assert!(!catalog.remove_member(&second, &user).await.unwrap());
        assert!(!catalog.change_role(&second, &user, Role::Owner).await.unwrap());
        assert_eq!(catalog.role_in(&user, &second).await.unwrap(), None);
        assert_eq!(catalog.role_in(&user, &first).await.unwrap(), Some(Role::Owner));
    }

    #[tokio::test]
    async fn an_organizations_members_are_listed_by_email() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        user_of(&catalog, &organization, "b@example.com", Role::Member).await;
        user_of(&catalog, &organization, "a@example.com", Role::Owner).await;
        let members = catalog.members_of(&organization).await.unwrap();
        let members: Vec<_> = members.iter().map(|member| (member.email.as_str(), member.role)).collect();
        assert_eq!(members, [("a@example.com", Role::Owner), ("b@example.com", Role::Member)]);
        assert_eq!(catalog.members_of(&nobody()).await.unwrap(), []);
    }

    #[tokio::test]
    async fn what_stops_a_membership_is_named() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        let user = user_of(&catalog, &organization, "a@example.com", Role::Owner).await;
        let stranger = UserUid::mint();

        let twice = catalog.add_member(&organization, &user, Role::Admin).await.unwrap_err();
        assert!(matches!(twice, StorageError::AlreadyMember { .. }), "{twice}");
        assert_eq!(catalog.role_in(&user, &organization).await.unwrap(), Some(Role::Owner));
        let no_user = catalog.add_member(&organization, &stranger, Role::Admin).await.unwrap_err();
        assert!(matches!(no_user, StorageError::NoSuchUser(uid) if uid == stranger));
        let no_organization = catalog.add_member(&nobody(), &user, Role::Admin).await.unwrap_err();
        assert!(matches!(no_organization, StorageError::NoSuchOrganization(uid) if uid == nobody()));
    }
}
