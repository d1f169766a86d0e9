//! What of a group of reports is applied at once: the dates of one attempt at a gather, each of which is a report.

use std::collections::HashMap;

use proto::envelope::Header;
use proto::report::{GatheredDate, Report};

use super::{Applied, Decoded};

/// What is applied, or refused, as one.
pub(super) struct Piece {
    /// Where its reports stand in the group.
    pub places: Vec<usize>,
    /// Of the first of them; the others' says the same.
    pub header: Header,
    pub said: Said,
}

pub(super) enum Said {
    Dates(Vec<GatheredDate>),
    Other(Box<Report>),
}

/// The pieces of a group, in its order. What cannot be read is refused in `outcomes`.
pub(super) fn pieces(reports: Vec<Decoded>, outcomes: &mut [Applied]) -> Vec<Piece> {
    let mut pieces = Vec::<Piece>::with_capacity(reports.len());
    let mut gathers = HashMap::new();
    for (place, decoded) in reports.into_iter().enumerate() {
        let (header, report) = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                if let Some(outcome) = outcomes.get_mut(place) {
                    *outcome = Applied::Refused(error.to_string());
                }
                continue;
            }
        };
        let Report::GatheredDate(date) = report else {
            pieces.push(Piece { places: vec![place], header, said: Said::Other(Box::new(report)) });
            continue;
        };
        let gather = (header.tenant.clone(), header.source.clone());
        let gather = (gather, header.generation, header.attempt);
        let known = gathers.get(&gather).and_then(|at: &usize| pieces.get_mut(*at));
        if let Some(Piece { places, said: Said::Dates(dates), .. }) = known {
            places.push(place);
            dates.push(date);
        } else {
            gathers.insert(gather, pieces.len());
            pieces.push(Piece { places: vec![place], header, said: Said::Dates(vec![date]) });
        }
    }
    pieces
}
