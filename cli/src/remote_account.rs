//! Accounts, and what they have, as commands show them.

use std::io::Write;

use serde::Serialize;
use sluice_sdk::{Account, Quota, Usage};

use crate::{failure::Failure, units};

/// An account as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct AccountView<'a> {
    account_id: &'a str,
    /// Absent while nobody has registered the operator's account.
    email: Option<&'a str>,
    display_name: &'a str,
    status: &'a str,
    create_time: Option<String>,
}

/// What an account holds as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct UsageView<'a> {
    /// Absent for the caller's own.
    account_id: Option<&'a str>,
    stored_bytes: i64,
    reserved_bytes: i64,
    active_uploads: i64,
    max_bytes: Option<i64>,
    max_active_uploads: Option<i64>,
    max_file_size: Option<i64>,
}

impl<'a> From<&'a Account> for AccountView<'a> {
    fn from(account: &'a Account) -> Self {
        Self {
            account_id: &account.id,
            email: Some(&*account.email).filter(|email| !email.is_empty()),
            display_name: &account.display_name,
            status: account.status().as_str_name().trim_start_matches("STATUS_"),
            create_time: account.create_time.map(|time| time.to_string()),
        }
    }
}

impl AccountView<'_> {
    /// Who it is, for people.
    pub(crate) fn who(&self) -> &str {
        self.email.unwrap_or("the operator")
    }

    /// The same as a line for people.
    pub(crate) fn line(&self) -> String {
        let status = match self.status {
            "ACTIVE" => String::new(),
            status => format!("  {}", status.to_lowercase()),
        };
        let name = match self.display_name {
            "" => String::new(),
            name => format!("  {name}"),
        };
        format!("{}  {}{name}{status}", self.account_id, self.who())
    }

    /// The fields that have a value, as lines for people.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("account", self.account_id.to_owned())];
        lines.extend(self.email.map(|email| ("address", email.to_owned())));
        if !self.display_name.is_empty() {
            lines.push(("name", self.display_name.to_owned()));
        }
        if self.status != "ACTIVE" {
            lines.push(("status", self.status.to_lowercase()));
        }
        lines.extend(self.create_time.clone().map(|time| ("since", time)));
        lines
    }
}

impl<'a> UsageView<'a> {
    pub(crate) fn new(account_id: Option<&'a str>, usage: &Usage) -> Self {
        let Quota { max_bytes, max_active_uploads, max_file_size } =
            usage.quota.unwrap_or_default();
        Self {
            account_id,
            stored_bytes: usage.stored_bytes,
            reserved_bytes: usage.reserved_bytes,
            active_uploads: usage.active_uploads,
            max_bytes,
            max_active_uploads,
            max_file_size,
        }
    }

    /// The same as lines for people.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let bytes = |count: i64| units::bytes(count.cast_unsigned()).to_string();
        let limit = |limit: Option<String>| match limit {
            Some(limit) => format!(" of {limit}"),
            None => String::new(),
        };
        let used = (self.stored_bytes + self.reserved_bytes).cast_unsigned();
        let share = |most: i64| {
            let percent = units::percent(used, most.cast_unsigned());
            format!("{}, {percent} % used", bytes(most))
        };
        let mut lines = vec![
            ("stored", format!("{}{}", bytes(self.stored_bytes), limit(self.max_bytes.map(share)))),
            ("reserved", format!("{} by open uploads", bytes(self.reserved_bytes))),
            (
                "uploads",
                format!(
                    "{}{} open",
                    self.active_uploads,
                    limit(self.max_active_uploads.map(|most| most.to_string()))
                ),
            ),
        ];
        lines.extend(self.max_file_size.map(|most| ("files", format!("at most {}", bytes(most)))));
        lines
    }
}

/// Prints names and values, one a line.
pub(crate) fn print_fields(lines: &[(&str, String)]) -> Result<(), Failure> {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut output = std::io::stdout().lock();
    for (name, value) in lines {
        writeln!(output, "{name:<width$}  {value}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_shows_how_much_is_left() {
        let quota = Quota { max_bytes: Some(4096), ..Quota::default() };
        let usage = Usage {
            stored_bytes: 1024,
            reserved_bytes: 1024,
            active_uploads: 3,
            quota: Some(quota),
        };
        let lines = UsageView::new(None, &usage).lines();
        assert_eq!(lines[0].1, "1.00 KiB of 4.00 KiB, 50 % used");
        assert_eq!(lines[1].1, "1.00 KiB by open uploads");
        assert_eq!(lines[2].1, "3 open");
        assert_eq!(lines.len(), 3);
    }
}
