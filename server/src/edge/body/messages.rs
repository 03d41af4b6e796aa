//! Where in a stream of gRPC messages a body is.

/// Length of what comes before every message: a flag and four bytes of length.
const PREFIX: usize = 5;

/// How much of a message has come, told by the prefixes of gRPC's messages.
#[derive(Debug, Default)]
pub struct MessageProgress {
    prefix: [u8; PREFIX],
    prefix_length: usize,
    rest: u64,
    begun: u64,
}

impl MessageProgress {
    /// Bytes of the message that is not whole, with its prefix.
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// The next bytes have come.
    pub fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.rest == 0 {
                let taken = (PREFIX - self.prefix_length).min(bytes.len());
                self.prefix[self.prefix_length..][..taken].copy_from_slice(&bytes[..taken]);
                self.prefix_length += taken;
                self.begun += taken as u64;
                bytes = &bytes[taken..];
                if self.prefix_length < PREFIX {
                    return;
                }
                self.prefix_length = 0;
                let [_, length @ ..] = self.prefix;
                self.rest = u64::from(u32::from_be_bytes(length));
            }
            let taken = self.rest.min(bytes.len() as u64);
            self.rest -= taken;
            self.begun += taken;
            // `taken` is not more than the length of a slice.
            bytes = &bytes[usize::try_from(taken).unwrap_or(bytes.len())..];
            if self.rest == 0 {
                self.begun = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u32) -> Vec<u8> {
        let mut message = vec![0];
        message.extend(length.to_be_bytes());
        message.resize(PREFIX + length as usize, 1);
        message
    }

    #[test]
    fn whole_messages_leave_nothing_begun() {
        let stream = [message(0), message(1), message(300), message(0), message(7)].concat();
        for chunk in 1..20 {
            let mut progress = MessageProgress::default();
            let mut so_far = 0;
            for bytes in stream.chunks(chunk) {
                progress.follow(bytes);
                so_far += bytes.len();
                let ends = [5, 11, 316, 321, 333];
                let whole = ends.iter().rev().find(|end| **end <= so_far).unwrap_or(&0);
                assert_eq!(progress.begun, (so_far - whole) as u64, "{chunk} {so_far}");
            }
        }
    }
}
