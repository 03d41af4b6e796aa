//! Records in DynamoDB keep every promise of the ports.

use std::sync::Arc;

use sluice_server::{
    adapters::{
        aws::dynamodb::{Records, table},
        system_clock::SystemClock,
    },
    promises,
    tasks::Tasks,
};

use crate::account::Account;

/// Records in a table of their own.
pub(crate) async fn records() -> Records {
    let [records] = several(1).await.try_into().unwrap_or_else(|_| unreachable!("it is one"));
    records
}

/// The same records as so many processes have them.
pub(crate) async fn several(processes: usize) -> Vec<Records> {
    let account = Account::new().await;
    let client = account.clients.dynamodb;
    let name = table::name("test-");
    let created = table::create(&client, &name).await;
    assert_eq!(created, Ok(true), "the table is made");
    assert_eq!(table::create(&client, &name).await, Ok(false), "it is there");
    let process =
        |_| Records::new(client.clone(), name.clone(), Arc::new(SystemClock), Tasks::new());
    (0..processes).map(process).collect()
}

promises! { upload_store, records = super::records() => (&records) }
promises! { blob_records, records = super::records() => (&records, &records) }
promises! { file_store, records = super::records() => (&records, &records) }
promises! { event_queue, records = super::records() => (&records, &records) }
promises! { change_feed, records = super::records() => (&records, &records, &records) }
promises! { account_store, records = super::records() => (&records, &records, &records) }
promises! { quotas, records = super::records() => (&records, &records, &records) }
promises! { credential_store, records = super::records() => (&records, &records) }
promises! { signing_key_store, records = super::records() => (&records) }
