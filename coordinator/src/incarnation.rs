//! Generations only grow, also over a restored backup: whoever draws them must be ahead of everything that the streams
//! hold. If not, work from after the backup could pass for work that the restored database asked for.

use proto::ids::Generation;
use proto::subject::Stream;
use runtime::bus::Bus;

use crate::CoordinatorError;
use crate::store::StateStore;

/// The streams are ahead of the database.
#[derive(Debug, thiserror::Error)]
#[error(
    "stream {} holds generation {found}, but this database has drawn none above {drawn}: it was restored from a backup, \
     or the streams belong to another database. If they are this database's own, run `apportion migrate \
     --raise-incarnation` with its DATABASE_URL or --data-dir: work from after the backup can then never pass for work of now. Else name \
     the right NATS; of an embedded one the folder `nats` of the data folder may be removed, it is made again", stream.name()
)]
pub struct Ahead {
    stream: Stream,
    found: Generation,
    drawn: Generation,
}

/// Refuses streams that hold a generation which this database has not drawn yet.
///
/// # Errors
/// [`CoordinatorError::Ahead`] then; or when NATS or Postgres cannot be asked.
pub async fn check(bus: &Bus, state: &StateStore) -> Result<(), CoordinatorError> {
    // The streams first: what is drawn meanwhile may be in them.
    let Some((stream, found)) = bus.highest_generation().await? else { return Ok(()) };
    let drawn = state.generation_drawn().await?;
    if found <= drawn { Ok(()) } else { Err(Ahead { stream, found, drawn }.into()) }
}
