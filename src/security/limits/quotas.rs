//! How often each limited thing may be tried, and how the settings say so.

use std::str::FromStr;

/// Something that is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Wrong passwords, per account (project and address).
    PasswordGuess,
    /// Wrong codes, per what the code opens (an account, or the code itself).
    CodeGuess,
    /// Codes sent, per address they go to.
    CodeSending,
    /// Accounts made, per caller.
    SignUpFromIp,
    /// Sign-ins tried, per caller.
    SignInFromIp,
    /// Codes checked, per caller.
    CodeCheckFromIp,
    /// Codes sent, per caller.
    CodeSendingFromIp,
}

impl Limit {
    /// Every limit, its name in settings, and its quota unless set otherwise. Guessing is made
    /// hopeless; what one IP may do is generous, because a whole company may share it.
    const ALL: [(Self, &'static str, Quota); 7] = [
        (Self::PasswordGuess, "password-guess", Quota::of(20, 600)),
        (Self::CodeGuess, "code-guess", Quota::of(20, 600)),
        (Self::CodeSending, "code-sending", Quota::of(20, 600)),
        (Self::SignUpFromIp, "sign-up-ip", Quota::of(6_000, 60)),
        (Self::SignInFromIp, "sign-in-ip", Quota::of(6_000, 60)),
        (Self::CodeCheckFromIp, "code-check-ip", Quota::of(6_000, 60)),
        (
            Self::CodeSendingFromIp,
            "code-sending-ip",
            Quota::of(3_000, 60),
        ),
    ];
}

/// A bucket's size, and how long it takes to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    tries: u32,
    seconds: u32,
}

impl Quota {
    /// `tries` at once, and as many again over `seconds`. Both are at least 1.
    pub(super) const fn of(tries: u32, seconds: u32) -> Self {
        Self { tries, seconds }
    }

    /// The whole bucket, in microseconds of filling.
    pub(super) fn burst(self) -> i64 {
        i64::from(self.seconds) * 1_000_000
    }

    /// One try, in microseconds of filling.
    pub(super) fn one(self) -> i64 {
        (self.burst() / i64::from(self.tries)).max(1)
    }
}

impl FromStr for Quota {
    type Err = String;

    /// Reads `20/10m`: tries, and the time in seconds (`s`), minutes (`m`) or hours (`h`).
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text} is no quota; write one as 20/10m: tries per time (s, m or h)");
        let (tries, time) = text.split_once('/').ok_or_else(wrong)?;
        let unit = time.chars().last().ok_or_else(wrong)?;
        let factor: u32 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            _ => return Err(wrong()),
        };
        let time: u32 = time[..time.len() - 1].parse().map_err(|_| wrong())?;
        let seconds = time.checked_mul(factor).ok_or_else(wrong)?;
        let tries: u32 = tries.parse().map_err(|_| wrong())?;
        if tries == 0 || seconds == 0 {
            return Err(wrong());
        }
        Ok(Self::of(tries, seconds))
    }
}

/// What is limited, and how far: `on`, `off`, or what differs from the defaults, as
/// `password-guess=5/1h,sign-up-ip=100/1m`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quotas {
    /// Nothing is limited.
    Off,
    /// Everything is; these are the quotas that differ from the defaults.
    On(Vec<(Limit, Quota)>),
}

impl Default for Quotas {
    fn default() -> Self {
        Self::On(Vec::new())
    }
}

impl FromStr for Quotas {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "on" | "true" => return Ok(Self::default()),
            "off" | "false" => return Ok(Self::Off),
            _ => {}
        }
        let different = text.split(',').map(|part| {
            let (name, quota) = part.trim().split_once('=').ok_or_else(|| {
                format!("{part} is neither on, nor off, nor a limit such as password-guess=20/10m")
            })?;
            let known = Limit::ALL.iter().find(|(_, known, _)| *known == name);
            let (limit, _, _) = known.ok_or_else(|| {
                let names: Vec<_> = Limit::ALL.iter().map(|(_, name, _)| *name).collect();
                format!("there is no limit {name}; there are: {}", names.join(", "))
            })?;
            Ok((*limit, quota.parse()?))
        });
        Ok(Self::On(different.collect::<Result<_, String>>()?))
    }
}

impl Quotas {
    pub(super) fn quota(&self, limit: Limit) -> Option<Quota> {
        let Self::On(different) = self else {
            return None;
        };
        let set = different.iter().rev().find(|(set, _)| *set == limit);
        let set = set.map(|(_, quota)| *quota);
        set.or_else(|| {
            let default = Limit::ALL.iter().find(|(known, _, _)| *known == limit)?;
            Some(default.2)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        assert_eq!("on".parse(), Ok(Quotas::default()));
        assert_eq!("off".parse(), Ok(Quotas::Off));
        let quotas: Quotas = "password-guess=5/1h, sign-up-ip=2/3s".parse().unwrap();
        assert_eq!(
            quotas.quota(Limit::PasswordGuess),
            Some(Quota::of(5, 3_600))
        );
        assert_eq!(quotas.quota(Limit::SignUpFromIp), Some(Quota::of(2, 3)));
        assert_eq!(quotas.quota(Limit::CodeGuess), Some(Quota::of(20, 600)));
        for bad in [
            "",
            "maybe",
            "password-guess",
            "password-guess=",
            "x=1/1m",
            "code-guess=0/1m",
            "code-guess=1/0m",
            "code-guess=1/1d",
            "code-guess=1/é",
        ] {
            assert!(bad.parse::<Quotas>().is_err(), "{bad}");
        }
    }
}
