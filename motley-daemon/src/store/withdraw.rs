//! Promises that are taken back without harm to the name.

use super::{Store, StoreError};
use motley_proto::Identity;

impl Store {
    /// Takes back a promise of a name that the back end knows, and that may still be given to whom it
    /// is meant for; [`Store::release`] is for names that turned out to be somebody else's.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn withdraw(&self, identity: &Identity) -> Result<(), StoreError> {
        let statement = "UPDATE account SET name = NULL, uid = NULL, phase = 'none'
             WHERE issuer = $1 AND subject = $2 AND phase = 'reserved'";
        self.update(statement, identity).await
    }
}
