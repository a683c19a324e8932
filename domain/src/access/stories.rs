use super::*;

fn caller(grants: &[&str]) -> Principal {
    let grants = grants.iter().map(|grant| grant.parse().unwrap());
    Principal::new("ann".parse().unwrap(), grants)
}

fn may(grants: &[&str], action: Action) -> Decision {
    allows(&caller(grants), action, Some(&Tenant::default()))
}

#[test]
fn a_caller_without_a_role_may_do_nothing() {
    for action in Action::ALL {
        assert_eq!(may(&[], action), Decision::Denied(action.needs()));
    }
}

#[test]
fn each_role_allows_its_actions_and_no_others() {
    use Decision::{Allowed, Denied, OnOwn};
    let (submit, read, operate, admin) = (Role::Submit, Role::Read, Role::Operate, Role::Admin);
    for (action, with_submit, with_read, with_operate, with_admin) in [
        (
            Action::Submit,
            Allowed,
            Denied(submit),
            Denied(submit),
            Allowed,
        ),
        (
            Action::Check,
            Allowed,
            Denied(submit),
            Denied(submit),
            Allowed,
        ),
        (Action::Read, OnOwn, Allowed, Allowed, Allowed),
        (Action::Inspect, Denied(read), Allowed, Allowed, Allowed),
        (
            Action::Operate,
            Denied(operate),
            Denied(operate),
            Allowed,
            Allowed,
        ),
        (
            Action::Administer,
            Denied(admin),
            Denied(admin),
            Denied(admin),
            Denied(admin),
        ),
    ] {
        assert_eq!(may(&["default:submit"], action), with_submit, "{action:?}");
        assert_eq!(may(&["default:read"], action), with_read, "{action:?}");
        assert_eq!(
            may(&["default:operate"], action),
            with_operate,
            "{action:?}"
        );
        assert_eq!(may(&["default:admin"], action), with_admin, "{action:?}");
    }
}

#[test]
fn a_role_of_one_tenant_is_none_in_another() {
    for role in Role::ALL {
        let elsewhere = format!("desk-2:{role}");
        for action in Action::ALL {
            let decision = may(&[&elsewhere], action);
            assert_eq!(decision, Decision::Denied(action.needs()), "{role}");
        }
    }
}

#[test]
fn a_role_of_the_system_counts_in_every_tenant_and_on_the_deployment() {
    let tenants = [
        None,
        Some(Tenant::default()),
        Some("desk-2".parse().unwrap()),
    ];
    for action in Action::ALL {
        for tenant in &tenants {
            let decision = allows(&caller(&["system:admin"]), action, tenant.as_ref());
            assert_eq!(decision, Decision::Allowed, "{action:?} {tenant:?}");
        }
    }
    let reads = allows(&caller(&["system:read"]), Action::Read, tenants[2].as_ref());
    assert_eq!(reads, Decision::Allowed);
    let administers = allows(&caller(&["system:operate"]), Action::Administer, None);
    assert_eq!(administers, Decision::Denied(Role::Admin));
}

#[test]
fn roles_add_up() {
    let both = ["default:submit", "default:read"];
    assert_eq!(may(&both, Action::Submit), Decision::Allowed);
    assert_eq!(may(&both, Action::Read), Decision::Allowed);
    let across = ["default:submit", "system:operate"];
    assert_eq!(may(&across, Action::Operate), Decision::Allowed);
    assert_eq!(may(&across, Action::Submit), Decision::Allowed);
}

#[test]
fn the_operator_of_the_machine_may_do_everything() {
    let operator = Principal::admin("root".parse().unwrap());
    for action in Action::ALL {
        let decision = allows(&operator, action, Some(&Tenant::default()));
        assert_eq!(decision, Decision::Allowed);
    }
}

#[test]
fn a_grant_is_read_as_it_is_written_and_nothing_else_is_a_grant() {
    for text in ["default:submit", "desk-2:operate", "system:admin"] {
        assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "read",
        "default:",
        ":read",
        "default:root",
        "Desk:read",
        "a b:read",
        "*:read",
        "default:read:x",
    ] {
        assert!(text.parse::<Grant>().is_err(), "{text}");
    }
}

#[test]
fn a_subject_fits_into_the_history_and_forges_no_line_of_it() {
    for name in [
        "ann",
        "spiffe://corp/desk/rates",
        "Ann Bär",
        &"x".repeat(255),
    ] {
        assert_eq!(name.parse::<Subject>().unwrap().as_str(), name);
    }
    for name in ["", " ann", "ann ", "a\nb", "a\u{1b}[2J", &"x".repeat(256)] {
        assert!(name.parse::<Subject>().is_err(), "{name:?}");
    }
    for name in ["system", "Default", "", "a.b", &"x".repeat(64)] {
        assert!(name.parse::<Tenant>().is_err(), "{name:?}");
    }
}
