//! Users: people who log in, found by their email address.

mod email;
mod memberships;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row};

pub use self::email::{Email, MalformedEmail};
pub use self::memberships::{Member, Membership, Role, UnknownRole};
use super::organizations::refused_by_organization;
use super::{Catalog, row};
use crate::error::StorageError;
use crate::ids::{OrganizationUid, UserUid};
use crate::password::{self, Password};

/// A user of any number of organizations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Their identifier.
    pub uid: UserUid,
    /// By which they log in; no two users have the same.
    pub email: Email,
    /// When they were made.
    pub created_at: DateTime<Utc>,
}

impl FromRow<'_, AnyRow> for User {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            uid: row::parsed(row, "uid")?,
            email: row::parsed(row, "email")?,
            created_at: row::time(row, "created_at")?,
        })
    }
}

impl Catalog {
    /// Makes a user, as a member of one organization, and answers with their new identifier.
    ///
    /// # Errors
    /// When another user has the email address, or the organization does not exist.
    pub async fn create_user(
        &self,
        organization: &OrganizationUid,
        email: &Email,
        role: Role,
        password: &Password,
    ) -> Result<UserUid, StorageError> {
        let uid = UserUid::mint();
        let password_hash = password.hash().await?;
        let mut transaction = self.begin_write().await?;
        sqlx::query("insert into users (uid, email, password_hash, created_at) values ($1, $2, $3, $4)")
            .bind(uid.as_str())
            .bind(email.as_str())
            .bind(password_hash)
            .bind(self.clock.now_ms())
            .execute(&mut *transaction)
            .await
            .map_err(|error| match error.as_database_error() {
                Some(database) if database.is_unique_violation() => StorageError::EmailTaken(email.clone()),
                _ => error.into(),
            })?;
        sqlx::query("insert into memberships (organization, user_uid, role) values ($1, $2, $3)")
            .bind(organization.as_str())
            .bind(uid.as_str())
            .bind(role.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(|error| refused_by_organization(error, organization))?;
        transaction.commit().await?;
        Ok(uid)
    }

    /// All users, by email address.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn users(&self) -> Result<Vec<User>, StorageError> {
        Ok(sqlx::query_as("select uid, email, created_at from users order by email").fetch_all(&self.reader).await?)
    }

    /// The user of an email address.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn user_by_email(&self, email: &Email) -> Result<Option<User>, StorageError> {
        let text = "select uid, email, created_at from users where email = $1";
        Ok(sqlx::query_as(text).bind(email.as_str()).fetch_optional(&self.reader).await?)
    }

    /// The user, if the password is theirs. An unknown address, and a text that is no address, cost the same time as a
    /// wrong password.
    ///
    /// # Errors
    /// When the catalog does not answer or holds a hash that cannot be read.
    pub async fn verify_password(&self, email: &str, attempt: &str) -> Result<Option<User>, StorageError> {
        // Asked for also where the text is no address, so that every login does the same.
        let email = email.parse::<Email>().map_or_else(|_| String::new(), |email| email.to_string());
        let sql = "select uid, email, created_at, password_hash from users where email = $1";
        let stored = sqlx::query(sql).bind(email).fetch_optional(&self.reader).await?;
        let (user, hash) = match stored {
            Some(row) => (Some(User::from_row(&row)?), Some(row.try_get("password_hash")?)),
            None => (None, None),
        };
        Ok(if password::verify(attempt, hash).await? { user } else { None })
    }

    /// Gives a user another password and ends all of their authtokens, since whoever knew the old one may hold some.
    /// False if they do not exist.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn set_password(&self, user: &UserUid, password: &Password) -> Result<bool, StorageError> {
        let password_hash = password.hash().await?;
        let mut transaction = self.begin_write().await?;
        let done = sqlx::query("update users set password_hash = $2 where uid = $1")
            .bind(user.as_str())
            .bind(password_hash)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("delete from authtokens where user_uid = $1")
            .bind(user.as_str())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        self.recent.forget();
        Ok(done.rows_affected() > 0)
    }

    /// Deletes a user with their memberships and authtokens. False if they did not exist.
    ///
    /// # Errors
    /// When the catalog does not answer.
    pub async fn delete_user(&self, user: &UserUid) -> Result<bool, StorageError> {
        let done = sqlx::query("delete from users where uid = $1").bind(user.as_str()).execute(&self.writer).await?;
        self.recent.forget();
        Ok(done.rows_affected() > 0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::catalog::organizations::tests::{catalog, nobody};

    /// A user whose password nobody needs: hashing one takes a while.
    pub(in crate::catalog) async fn user_of(
        catalog: &Catalog,
        organization: &OrganizationUid,
        email: &str,
        role: Role,
    ) -> UserUid {
        let uid = UserUid::mint();
        sqlx::query("insert into users (uid, email, password_hash, created_at) values ($1, $2, '', 0)")
            .bind(uid.as_str())
            .bind(email)
            .execute(&catalog.writer)
            .await
            .unwrap();
        catalog.add_member(organization, &uid, role).await.unwrap();
        uid
    }

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).unwrap()
    }

    fn email(text: &str) -> Email {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_user_logs_in_with_any_spelling_of_their_address() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        let uid = catalog
            .create_user(&organization, &email("Ada@Example.com"), Role::Owner, &password("correct horse"))
            .await
            .unwrap();
        let user = catalog.verify_password(" ADA@example.com", "correct horse").await.unwrap().unwrap();
        assert_eq!((&user.uid, user.email.as_str()), (&uid, "ada@example.com"));
        assert_eq!(catalog.role_in(&uid, &organization).await.unwrap(), Some(Role::Owner));
        assert_eq!(catalog.user_by_email(&user.email).await.unwrap(), Some(user.clone()));
        assert_eq!(catalog.users().await.unwrap(), [user]);
    }

    #[tokio::test]
    async fn an_unknown_address_and_a_wrong_password_look_the_same() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        let ada = email("ada@example.com");
        catalog.create_user(&organization, &ada, Role::Owner, &password("correct horse")).await.unwrap();
        // The least of three: other work on the machine only ever adds time.
        let mut least = [Duration::MAX; 3];
        for _ in 0..3 {
            for (address, least) in ["ada@example.com", "bob@example.com", "no address"].into_iter().zip(&mut least) {
                let started = Instant::now();
                assert_eq!(catalog.verify_password(address, "wrong password").await.unwrap(), None);
                *least = started.elapsed().min(*least);
            }
        }
        let [wrong, unknown, malformed] = least;
        assert!(unknown > wrong / 4 && malformed > wrong / 4, "{wrong:?} {unknown:?} {malformed:?}");
    }

    #[tokio::test]
    async fn a_refused_user_leaves_nothing_behind() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        let (ada, bob) = (email("ada@example.com"), email("bob@example.com"));
        catalog.create_user(&organization, &ada, Role::Owner, &password("correct horse")).await.unwrap();

        let taken = catalog.create_user(&organization, &ada, Role::Admin, &password("another one")).await.unwrap_err();
        assert!(matches!(taken, StorageError::EmailTaken(address) if address == ada));
        assert!(catalog.verify_password("ada@example.com", "correct horse").await.unwrap().is_some());

        let nowhere = catalog.create_user(&nobody(), &bob, Role::Admin, &password("another one")).await.unwrap_err();
        assert!(matches!(nowhere, StorageError::NoSuchOrganization(uid) if uid == nobody()));
        assert_eq!(catalog.user_by_email(&bob).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_new_password_ends_the_old_one_and_every_authtoken() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        let user = user_of(&catalog, &organization, "ada@example.com", Role::Owner).await;
        assert!(catalog.set_password(&user, &password("correct horse")).await.unwrap());
        let token = catalog.create_authtoken(&user).await.unwrap();

        assert!(catalog.set_password(&user, &password("battery staple")).await.unwrap());
        assert_eq!(catalog.verify_password("ada@example.com", "correct horse").await.unwrap(), None);
        assert!(catalog.verify_password("ada@example.com", "battery staple").await.unwrap().is_some());
        assert_eq!(catalog.user_of_authtoken(&token).await.unwrap(), None);
        assert!(!catalog.set_password(&UserUid::mint(), &password("battery staple")).await.unwrap());
    }

    #[tokio::test]
    async fn a_deleted_user_loses_memberships_and_authtokens() {
        let (catalog, _clock, _folder) = catalog().await;
        let organization = catalog.create_organization("Acme").await.unwrap();
        let user = user_of(&catalog, &organization, "ada@example.com", Role::Owner).await;
        let token = catalog.create_authtoken(&user).await.unwrap();
        assert!(catalog.delete_user(&user).await.unwrap());
        assert!(!catalog.delete_user(&user).await.unwrap());
        assert_eq!(catalog.members_of(&organization).await.unwrap(), []);
        assert_eq!(catalog.user_of_authtoken(&token).await.unwrap(), None);
        assert_eq!(catalog.authtokens_of(&user).await.unwrap(), []);
    }
}
