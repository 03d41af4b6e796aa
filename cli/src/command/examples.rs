//! What the help of each command ends with.

#[cfg(feature = "serve")]
pub(super) const SERVE: &str = "\
Examples:
  sluice serve                                  data in the user's data folder, on this machine
  sluice serve --data-dir /srv/sluice --config /etc/sluice.toml
  SLUICE__LIMITS__UPLOAD_TTL=2d sluice serve    any setting, by the environment";

pub(super) const UPLOAD: &str = "\
Examples:
  sluice upload holiday.mp4                     the same again goes on after a break
  sluice upload -r photos --prefix backup       a folder, as backup/photos/…
  sluice upload report.pdf --name 2025/report.pdf --on-conflict replace
  tar c project | sluice upload - --name project.tar
  sluice upload *.iso --json | jq -r 'select(.event == \"uploaded\") | .file_id'";

pub(super) const DOWNLOAD: &str = "\
Examples:
  sluice download holiday.mp4                   into this folder; goes on after a break
  sluice download 2025/report.pdf -o report.pdf
  sluice download -r photos -o copy             a folder, as copy/photos/…
  sluice download project.tar -o - | tar x";

pub(super) const LS: &str = "\
Examples:
  sluice ls                                     what is at the top
  sluice ls -l photos                           what is in a folder, with sizes and times
  sluice ls -r --json | jq -s 'map(.size) | add'";

pub(super) const STAT: &str = "\
Examples:
  sluice stat holiday.mp4
  sluice stat holiday.mp4 --json | jq -r .blake3";

pub(super) const CAT: &str = "\
Examples:
  sluice cat notes.txt
  sluice cat movie.mp4 --offset 1000000 --length 4096 > range";

pub(super) const SIGN: &str = "\
Examples:
  sluice sign holiday.mp4                       a link that works for an hour
  sluice sign holiday.mp4 --ttl 7d --inline
  sluice uploads sign upl_… --from big.iso      the other way: requests that send an upload's parts";

pub(super) const MV: &str = "\
Examples:
  sluice mv draft.txt final.txt
  sluice mv holiday.mp4 2025/                   into a folder";

pub(super) const RM: &str = "\
Examples:
  sluice rm holiday.mp4
  sluice rm -r photos/2019 --dry-run            what would be deleted";

pub(super) const WATCH: &str = "\
Examples:
  sluice watch                                  everything, by whomever
  sluice watch --json | jq -r 'select(.event == \"file\") | .name'";

pub(super) const DOCTOR: &str = "\
Examples:
  sluice doctor --profile work
  sluice doctor --serve --data-dir /srv/sluice  what a server needs, on its machine";

pub(super) const COMPLETIONS: &str = "\
Examples:
  sluice completions bash > ~/.local/share/bash-completion/completions/sluice
  sluice completions zsh > ~/.zfunc/_sluice     with ~/.zfunc in fpath
  sluice completions fish > ~/.config/fish/completions/sluice.fish";

pub(super) const MAN: &str = "\
Examples:
  sluice man upload | man -l -
  sluice man --out ~/.local/share/man/man1";

pub(super) const UPLOADS_LS: &str = "\
Examples:
  sluice uploads ls                             what is open, and how far it is
  sluice uploads ls --watch";

pub(super) const UPLOADS_RESUME: &str = "\
Examples:
  sluice uploads resume                         all that was begun on this machine
  sluice uploads resume big.iso
  sluice uploads resume upl_… --from big.iso    one that was begun elsewhere";

pub(super) const UPLOADS_SIGN: &str = "\
Examples:
  sluice uploads sign upl_… --from big.iso      a request for each part that is not there
  sluice uploads sign upl_… --from big.iso --part 3 --json | jq -r .url";

pub(super) const UPLOADS_COMPLETE: &str = "\
Examples:
  sluice uploads complete upl_… --from big.iso  once all parts were sent";

pub(super) const UPLOADS_ABORT: &str = "\
Examples:
  sluice uploads abort upl_…
  sluice uploads abort --all --yes";

pub(super) const SYNC: &str = "\
Examples:
  sluice sync photos server:photos              upload what is new or has changed
  sluice sync --delete photos server:photos     and delete there what is not here any more
  sluice sync server:photos photos --dry-run    what would happen the other way round
  sluice sync --checksum photos server:photos   compare bytes, whatever sizes and times say";

pub(super) const VERIFY: &str = "\
Examples:
  sluice verify holiday.mp4                     is it the same as there?
  sluice verify photos server:backup/photos     a folder, file by file
  sluice verify server:photos                   only that: is what is there sound?";

pub(super) const LOGIN: &str = "\
Examples:
  sluice login                                  asks for address and password
  sluice login --server https://files.example.com --email ada@example.com
  sluice login --email ada@example.com --password-file - < password
  sluice login --token-file key                 an API key, for programs of this user";

pub(super) const LOGOUT: &str = "\
Examples:
  sluice logout
  sluice logout --server https://files.example.com";

pub(super) const REGISTER: &str = "\
Examples:
  sluice register                               asks for everything
  sluice register --email ada@example.com --password-file password --setup-token-file token";

pub(super) const WHOAMI: &str = "\
Examples:
  sluice whoami
  sluice whoami --json | jq -r .account_id";

pub(super) const PASSWORD: &str = "\
Examples:
  sluice password                               asks for the old one, and for the new one twice";

pub(super) const ACCOUNT_RENAME: &str = "\
Examples:
  sluice account rename 'Ada Lovelace'";

pub(super) const ACCOUNT_DELETE: &str = "\
Examples:
  sluice account delete                         says what goes, and asks for the password";

pub(super) const SESSIONS_LS: &str = "\
Examples:
  sluice sessions ls                            when and from where each was last used";

pub(super) const SESSIONS_REVOKE: &str = "\
Examples:
  sluice sessions revoke ses_…
  sluice sessions revoke --others               all but this one";

pub(super) const KEYS_LS: &str = "\
Examples:
  sluice keys ls                                what each may do, and when it was last used";

pub(super) const KEYS_CREATE: &str = "\
Examples:
  sluice keys create backup --scope uploads:write > backup.key
  sluice keys create reports --scope files:read --scope uploads:write --expires 30d";

pub(super) const KEYS_REVOKE: &str = "\
Examples:
  sluice keys revoke key_…";

pub(super) const USAGE: &str = "\
Examples:
  sluice usage
  sluice usage --json | jq .stored_bytes";

pub(super) const ADMIN_ACCOUNTS: &str = "\
Examples:
  sluice admin accounts
  sluice admin accounts --json | jq -r 'select(.status == \"SUSPENDED\") | .email'";

pub(super) const ADMIN_SUSPEND: &str = "\
Examples:
  sluice admin suspend ada@example.com";

pub(super) const ADMIN_REINSTATE: &str = "\
Examples:
  sluice admin reinstate ada@example.com";

pub(super) const ADMIN_QUOTA: &str = "\
Examples:
  sluice admin quota ada@example.com --max-bytes 100GiB --max-uploads 50
  sluice admin quota ada@example.com --default  as all others";

pub(super) const ADMIN_INVITE: &str = "\
Examples:
  sluice admin invite > token                   for `sluice register --setup-token-file token`
  sluice admin invite --expires 1d";

#[cfg(feature = "serve")]
pub(super) const ADMIN_BOOTSTRAP: &str = "\
Examples:
  sluice admin bootstrap --dry-run --config sluice.toml
  sluice admin bootstrap --config sluice.toml   makes bucket, table and the operator's key";
