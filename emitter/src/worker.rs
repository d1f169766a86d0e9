//! Which task goes where.

use proto::ids::Generation;
use proto::report::{Failed, FailureClass, Report};
use proto::task::Task;
use proto::time::UnitDate;
use runtime::store::Store;
use runtime::worker::{TaskContext, WorkError, Worker};

use crate::error::EmitterError;
use crate::ledger::LedgerKeeper;
use crate::{emission, files, ledger};

/// The emitter's worker.
#[derive(Clone)]
pub struct EmitterWorker {
    /// Connections for commits and emissions.
    pub store: Store,
    /// The ledger's state.
    pub keeper: LedgerKeeper,
}

impl Worker for EmitterWorker {
    async fn perform(&self, task: Task, context: TaskContext) -> Result<Vec<Report>, WorkError> {
        match task {
            Task::Commit(task) => ledger::commit(&self.store, &self.keeper, &context, &task).await,
            Task::Emit(task) => emission::emit(&self.store, &context, &task).await,
            Task::Remove(task) => files::remove(task).await,
            Task::Restore(task) => ledger::restore(&self.store, &context, &task).await,
            Task::Driver(task) => ledger::compute(&self.store, &context, &task).await,
            Task::Gather(_) | Task::Resolve(_) | Task::Allocate(_) => {
                Err(WorkError::data("an emitter was given a task that is none of its own"))
            }
        }
    }
}

/// Units of a task, which succeed or fail together.
pub(crate) type Units = Vec<(UnitDate, Generation)>;

/// The reports of a task of many units: what was done, then its failures by reason.
///
/// # Errors
/// When nothing was done and all failures may heal: the task is then tried again as it is.
pub(crate) fn reports(
    step: &str,
    done: Option<Report>,
    failures: Vec<(Units, EmitterError)>,
) -> Result<Vec<Report>, WorkError> {
    let mut failed: Vec<Failed> = Vec::new();
    for (units, error) in failures {
        let (class, reason) = (error.class(), proto::fault::chain(&error));
        match failed.iter_mut().find(|failed| failed.class == class && failed.reason == reason) {
            Some(failed) => failed.units.extend(units),
            None => failed.push(Failed { step: step.to_owned(), units, class, reason }),
        }
    }
    if let (None, [first, ..]) = (&done, failed.as_slice())
        && failed.iter().all(|failed| failed.class == FailureClass::Transient)
    {
        return Err(WorkError::transient(first.reason.clone()));
    }
    Ok(done.into_iter().chain(failed.into_iter().map(Report::Failed)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::report::Committed;

    fn failure(day: u32, error: EmitterError) -> (Units, EmitterError) {
        (vec![(format!("2026-05-0{day}").parse().unwrap(), Generation(7))], error)
    }

    #[test]
    fn failures_are_told_by_reason_beside_what_was_done() {
        let busy = || EmitterError::Busy("busy".into());
        let error =
            reports("commit", None, vec![failure(1, busy()), failure(2, busy())]).unwrap_err();
        assert_eq!(
            (error.class, error.reason.as_str(), error.units.len()),
            (FailureClass::Transient, "busy", 0)
        );
        let wrong = || EmitterError::Integrity("off by one".into());
        let failures = vec![failure(1, busy()), failure(2, wrong()), failure(3, wrong())];
        let told = reports("commit", None, failures).unwrap();
        let Some(Report::Failed(second)) = told.get(1) else { panic!("{told:?}") };
        assert_eq!((second.units.len(), second.class), (2, FailureClass::Data));
        assert_eq!(second.reason, "integrity: off by one");
        let done = Report::Committed(Vec::<Committed>::new());
        let told = reports("commit", Some(done.clone()), vec![failure(1, busy())]).unwrap();
        assert!(
            told[0] == done
                && matches!(&told[1], Report::Failed(failed) if failed.step == "commit")
        );
        assert!(reports("commit", None, Vec::new()).unwrap().is_empty());
    }
}
