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

fn reaches(grants: &[&str], action: Action, named: Option<&str>) -> Result<Reach, OutOfReach> {
    let named = named.map(|name| name.parse().unwrap());
    reach(&caller(grants), action, named)
}

fn within(tenant: &str, own_only: bool) -> Reach {
    let scope = Scope::One(tenant.parse().unwrap());
    Reach { scope, own_only }
}

#[test]
fn a_call_is_for_the_only_tenant_of_its_caller_unless_it_names_another() {
    let own = &["desk-2:read"];
    assert_eq!(
        reaches(own, Action::Read, None),
        Ok(within("desk-2", false))
    );
    assert_eq!(
        reaches(own, Action::Read, Some("desk-2")),
        Ok(within("desk-2", false))
    );
    let denied = Err(OutOfReach::Denied(Role::Read));
    assert_eq!(reaches(own, Action::Read, Some("default")), denied);
    assert_eq!(reaches(own, Action::Read, Some("desk-3")), denied);
    let submits = &["desk-2:submit"];
    assert_eq!(
        reaches(submits, Action::Read, None),
        Ok(within("desk-2", true))
    );
}

#[test]
fn a_caller_of_several_tenants_must_name_one() {
    let both = &["default:read", "desk-2:operate"];
    assert_eq!(
        reaches(both, Action::Read, None),
        Err(OutOfReach::TenantUnnamed)
    );
    assert_eq!(
        reaches(both, Action::Operate, Some("desk-2")),
        Ok(within("desk-2", false))
    );
    let denied = Err(OutOfReach::Denied(Role::Operate));
    assert_eq!(reaches(both, Action::Operate, Some("default")), denied);
}

#[test]
fn a_role_of_the_system_reaches_every_tenant_or_the_one_that_the_call_names() {
    let every = |own_only| {
        let scope = Scope::Every;
        Ok(Reach { scope, own_only })
    };
    for action in Action::ALL {
        assert_eq!(reaches(&["system:admin"], action, None), every(false));
    }
    let admin = &["system:admin"];
    assert_eq!(
        reaches(admin, Action::Read, Some("desk-2")),
        Ok(within("desk-2", false))
    );
    assert_eq!(
        reaches(admin, Action::Administer, Some("desk-2")),
        every(false)
    );
    assert_eq!(reaches(&["system:submit"], Action::Read, None), every(true));
    // The role of the system does not allow it, but the one in the tenant does.
    let mixed = &["system:submit", "desk-2:read"];
    assert_eq!(
        reaches(mixed, Action::Read, None),
        Ok(within("desk-2", false))
    );
    assert_eq!(reaches(mixed, Action::Submit, None), every(false));
    let nobody = reaches(&[], Action::Read, None);
    assert_eq!(nobody, Err(OutOfReach::Denied(Role::Read)));
}

#[test]
fn whoever_may_act_in_one_tenant_may_act_somewhere() {
    let may = |grants: &[&str], action| somewhere(&caller(grants), action);
    let both = &["red:submit", "blue:operate"];
    for action in [Action::Submit, Action::Read, Action::Operate] {
        assert_eq!(may(both, action), Ok(()), "{action:?}");
    }
    assert_eq!(may(&["system:read"], Action::Inspect), Ok(()));
    assert_eq!(may(&["red:submit"], Action::Inspect), Err(Role::Read));
    assert_eq!(may(&["red:admin"], Action::Administer), Err(Role::Admin));
    assert_eq!(may(&[], Action::Read), Err(Role::Read));
}

#[test]
fn the_default_tenant_has_one_form_however_it_is_named() {
    let named: Tenant = "default".parse().unwrap();
    assert_eq!(named, Tenant::default());
    assert_eq!(named.to_string(), "default");
    assert_eq!(named.named(), None);
    let other: Tenant = "desk-2".parse().unwrap();
    assert_eq!((other.named(), other.is_default()), (Some("desk-2"), false));
}
