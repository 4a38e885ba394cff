//! Room in tables that strangers fill.

/// Rows of a table that strangers leave, and of which so many are kept.
#[derive(Clone, Copy)]
pub(super) struct Crowd {
    /// The table; its column `network` says where a row came from.
    pub table: &'static str,
    /// Its primary key.
    pub key: &'static str,
    /// Which of its rows count. Binds from `?3` on.
    pub which: &'static str,
}

impl Crowd {
    /// A statement that deletes one row where `?1` are there: the oldest of the network that has left the most, with the new row, which
    /// comes from `?2`, counted. So a flood crowds out itself before whatever stands beside it; from as many networks as there are rows it
    /// crowds out the oldest.
    ///
    /// Rows are as old as their `rowid` says, which grows with each that is inserted.
    pub fn make_room(self) -> String {
        let Self { table, key, which } = self;
        format!(
            "DELETE FROM {table} WHERE {key} = CASE \
             WHEN (SELECT COUNT(*) FROM (SELECT 1 FROM {table} WHERE {which} LIMIT ?1)) >= ?1 THEN \
             (SELECT {key} FROM {table} WHERE {which} AND network = \
             (SELECT network FROM {table} WHERE {which} GROUP BY network \
             ORDER BY COUNT(*) + (network = ?2) DESC, MIN(rowid) LIMIT 1) ORDER BY rowid LIMIT 1) END"
        )
    }
}
