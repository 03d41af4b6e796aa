//! The table.

use aws_sdk_dynamodb::types::{KeyType, TableDescription, TimeToLiveStatus};

use super::{Problem, Setup, State, answers, is_unsupported, problem, unknown};
use crate::adapters::aws::dynamodb::table;

impl Setup {
    pub(super) async fn look_at_table(&self) -> Result<State, Problem> {
        let name = &self.table;
        let described = match self.clients.dynamodb.describe_table().table_name(name).send().await {
            Ok(described) => described.table,
            Err(error) if answers(&error, "ResourceNotFoundException") => {
                return Ok(State::Unmet);
            }
            Err(error) => return Err(problem("dynamodb:DescribeTable", &error)),
        };
        match described {
            Some(table) if is_ours(&table) => Ok(State::Met(format!("{name} is there"))),
            _ => Err(Problem {
                story: format!("the table {name} has other keys than the server needs"),
                hint: "choose another aws.table_prefix; this one is somebody else's".to_owned(),
                passes: false,
            }),
        }
    }

    pub(super) async fn create_table(&self) -> Result<(), Problem> {
        match table::create(&self.clients.dynamodb, &self.table).await {
            Ok(_) => Ok(()),
            Err(story) => {
                let hint = "see docs/dynamodb.md for the rights that are needed".to_owned();
                Err(Problem { story, hint, passes: true })
            }
        }
    }

    pub(super) async fn look_at_time_to_live(&self) -> Result<State, Problem> {
        let describe = self.clients.dynamodb.describe_time_to_live().table_name(&self.table);
        match describe.send().await {
            Ok(described) => {
                let description = described.time_to_live_description;
                let status = description.and_then(|it| it.time_to_live_status);
                Ok(match status {
                    Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling) => {
                        State::Met("what has expired is removed".to_owned())
                    }
                    _ => State::Unmet,
                })
            }
            Err(error) if is_unsupported(&error) => Ok(unknown()),
            Err(error) => Err(problem("dynamodb:DescribeTimeToLive", &error)),
        }
    }

    pub(super) async fn enable_time_to_live(&self) -> Result<(), Problem> {
        let enabled = table::expire(&self.clients.dynamodb, &self.table).await;
        enabled.map_err(|error| problem("dynamodb:UpdateTimeToLive", &error))
    }
}

fn is_ours(description: &TableDescription) -> bool {
    let mut keys: Vec<_> = description
        .key_schema()
        .iter()
        .map(|key| (key.key_type().clone(), key.attribute_name()))
        .collect();
    keys.sort_by_key(|(kind, _)| *kind != KeyType::Hash);
    keys == [(KeyType::Hash, table::KEYS[0]), (KeyType::Range, table::KEYS[1])]
}
