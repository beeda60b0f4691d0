"""The ways people take through the pages, each with JavaScript and without."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from mugrade.client.grader import Connection, Grader
from playwright.sync_api import Page, expect
from pupils import PASSWORD, email, sign_in, sign_in_staff, submit, violations

expect.set_options(timeout=20_000)


@pytest.fixture(params=["with JavaScript", "without JavaScript"])
def either(request: pytest.FixtureRequest) -> Page:
    return request.getfixturevalue("page" if request.param == "with JavaScript" else "plain_page")


def test_sign_up_see_the_key_submit_and_watch_the_dashboard(either: Page, school: SimpleNamespace):
    page = either
    name = f"Kurt{id(either)} Goedel"
    page.goto(school.url)
    page.get_by_role("link", name="Sign up").first.click()
    page.get_by_label("Course code").fill("wrong-code")
    page.get_by_label("Name").fill(name)
    page.get_by_label("E-mail address").fill(email(name))
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("alert")).to_contain_text("code")
    assert page.get_by_label("Name").input_value() == name
    page.get_by_label("Course code").fill(school.code)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    page.wait_for_url("**/welcome")
    expect(page.get_by_text("mugrade submit hw0")).to_be_visible()
    page.get_by_role("link", name="a key").click()
    page.get_by_label("What is it for?").fill("laptop")
    page.get_by_role("button", name="Make a key").click()
    key = page.locator("#new-key").inner_text().strip()
    assert key.startswith("mug_")

    page.goto(school.url + "dashboard")
    expect(page.get_by_role("row", name=re.compile("hw0"))).to_contain_text("0 / 20")
    submit(school, key, "norm", 0.0)
    submit(school, key, "double", 1e-2)
    page.reload()
    expect(page.get_by_role("row", name=re.compile("hw0"))).to_contain_text("15 / 20")
    page.get_by_role("link", name="hw0", exact=True).click()
    page.get_by_role("region", name="Problems").get_by_role("link", name="double").click()
    page.get_by_text("1 of 2 right").click()
    expect(page.get_by_text("the numbers differ").first).to_be_visible()
    assert key not in page.content()


def test_a_terminal_is_let_in_by_its_code(either: Page, school: SimpleNamespace):
    sign_in(either, school, "Ada Lovelace")
    begun = Grader(Connection(school.url)).call("POST", "device/code", json={"client": "laptop"})
    either.goto(begun["verification_uri"])
    either.get_by_label("Code").fill(begun["user_code"].lower())
    either.get_by_role("button", name="Continue").click()
    assert not violations(either, "device waiting")
    either.get_by_role("button", name="Allow").click()
    expect(either.get_by_role("heading", name="Connected")).to_be_visible()
    token = Grader(Connection(school.url)).call(
        "POST", "device/token", json={"device_code": begun["device_code"]}
    )
    assert token["account"]["name"] == "Ada Lovelace"


def test_staff_gradebook_sorts_filters_and_exports(either: Page, school: SimpleNamespace):
    sign_in_staff(either, school)
    either.get_by_role("link", name="Gradebook").click()
    either.get_by_role("link", name="hw0 / 20").click()
    first = either.locator(".gradebook tbody tr").first
    expect(first).to_contain_text("Ada Lovelace")
    expect(either.locator("th[aria-sort=descending]")).to_contain_text("hw0")
    either.get_by_label("Name or e-mail").fill("turing")
    either.get_by_role("button", name="Filter").click()
    expect(either.locator(".gradebook tbody tr")).to_have_count(1)
    with either.expect_download() as download:
        either.get_by_role("link", name="Download CSV").click()
    text = download.value.path().read_text("utf-8-sig")
    assert "ada@example.org" in text and "hw0/norm" in text


def test_the_tolerance_preview_counts_attempts_and_apply_regrades(
    either: Page, grader: SimpleNamespace
):
    sign_in_staff(either, grader)
    either.get_by_role("link", name="hw0/norm").first.click()
    either.get_by_label("rtol").fill("5e-4")
    either.get_by_role("button", name="Preview").click()
    preview = either.get_by_role("article", name="Preview")
    expect(preview).to_contain_text("1 of 3 stored attempts would change: 1 up, 0 down")
    expect(preview).to_contain_text("Emmy Noether")
    expect(either.locator("h2", has_text="Revisions")).to_be_visible()
    assert not violations(either, "tolerance preview")
    either.get_by_role("button", name="Apply and regrade").click()
    expect(either.get_by_role("status")).to_contain_text("compared again")
    expect(either.get_by_text("2 (current)")).to_be_visible()
    either.goto(grader.url + "staff/grades?q=emmy")
    expect(either.locator(".gradebook tbody tr").first).to_contain_text("10")


def test_a_revision_is_rolled_back_after_a_look_at_who_would_move(
    either: Page, grader: SimpleNamespace
):
    sign_in_staff(either, grader)
    either.goto(grader.url + "staff/problems/hw0/norm")
    either.get_by_label("rtol").fill("5e-4")
    either.get_by_role("button", name="Apply and regrade").click()
    either.get_by_role("button", name="Go back to revision 1 ...").click()
    preview = either.get_by_role("article", name="Preview")
    expect(preview).to_contain_text("1 of 3 stored attempts would change: 0 up, 1 down")
    expect(either.get_by_text("2 (current)")).to_be_visible()
    assert not violations(either, "rollback preview")
    either.get_by_role("button", name="Go back to revision 1", exact=True).click()
    expect(either.get_by_role("status")).to_contain_text("earlier revision counts again")
    expect(either.get_by_text("3 (current)")).to_be_visible()


def test_a_regrade_under_way_is_shown_and_can_be_stopped_and_go_on(
    either: Page, grader: SimpleNamespace
):
    settings, lane = grader.app.state.settings, grader.app.state.lane
    settings.job_seconds_in_request = 0
    lane.stop()
    try:
        sign_in_staff(either, grader)
        either.goto(grader.url + "staff/problems/hw0/norm")
        either.get_by_label("rtol").fill("5e-4")
        either.get_by_role("button", name="Apply and regrade").click()
        job = either.get_by_role("article", name="Regrade")
        expect(job).to_contain_text("A regrade waits: 0 of 3 attempts")
        assert not violations(either, "regrade under way")
        job.get_by_role("button", name="Stop").click()
        expect(job).to_contain_text("A regrade was stopped")
        job.get_by_role("button", name="Go on").click()
        expect(job).to_contain_text("A regrade waits")
    finally:
        lane.start()


def test_a_tolerance_that_is_no_number_is_refused_in_words(either: Page, school: SimpleNamespace):
    sign_in_staff(either, school)
    either.goto(school.url + "staff/problems/hw0/norm")
    either.get_by_label("rtol").fill("little")
    either.get_by_role("button", name="Preview").click()
    expect(either.get_by_role("alert").first).to_contain_text("expected a number from 0 to 1")


def test_staff_extends_and_sets_a_score(either: Page, grader: SimpleNamespace):
    sign_in_staff(either, grader)
    either.goto(grader.url + "staff/grades")
    either.get_by_role("link", name="Alan Turing").click()
    either.get_by_label("Days after the due time").fill("4")
    either.get_by_label("Reason").first.fill("ill")
    either.get_by_role("button", name="Extend").click()
    expect(either.get_by_role("status")).to_contain_text("extension")
    either.get_by_label("Problem").select_option("hw0/norm")
    either.get_by_label("Points").fill("99")
    either.get_by_label("Reason").last.fill("oral exam")
    either.get_by_role("button", name="Set", exact=True).click()
    expect(either.get_by_role("alert")).to_contain_text("more than the 10")
    either.get_by_label("Problem").select_option("hw0/norm")
    either.get_by_label("Points").fill("7.5")
    either.get_by_label("Reason").last.fill("oral exam")
    either.get_by_role("button", name="Set", exact=True).click()
    expect(either.get_by_text("set to 7.5")).to_be_visible()
    either.get_by_role("link", name="Audit log").click()
    expect(either.get_by_text("override alan@example.org hw0/norm")).to_be_visible()
    expect(either.get_by_text("The chain is intact")).to_be_visible()


def test_the_roster_is_previewed_before_it_is_imported(either: Page, grader: SimpleNamespace):
    sign_in_staff(either, grader)
    either.get_by_role("link", name="Roster").click()
    either.get_by_text("Import people").click()
    either.get_by_label(re.compile("CSV")).fill(
        "email,name,role\nmarie@example.org,Marie Curie,student\nbad,X,student"
    )
    either.get_by_role("button", name="Preview").click()
    expect(either.get_by_text("line 3")).to_be_visible()
    expect(either.get_by_role("button", name="Import")).to_have_count(0)
    either.get_by_label(re.compile("CSV")).fill(
        "email,name,role\nmarie@example.org,Marie Curie,student"
    )
    either.get_by_role("button", name="Preview").click()
    expect(either.get_by_text("1 would be added")).to_be_visible()
    expect(either.get_by_role("link", name="Marie Curie")).to_have_count(0)
    either.get_by_role("button", name="Import").click()
    expect(either.get_by_role("link", name="Marie Curie")).to_be_visible()


def test_project_and_certificate_from_group_to_verification(chromium, grader: SimpleNamespace):
    """Two students and staff, each in their own browser, until a stranger verifies the paper."""
    schemes = ("light", "dark", "light", "dark")
    ada, alan, staff, stranger = (chromium.new_context(color_scheme=s).new_page() for s in schemes)
    found: list[str] = []
    submit(grader, grader.keys["Alan Turing"], "norm", 0.0)
    submit(grader, grader.keys["Alan Turing"], "double", 0.0)
    sign_in(ada, grader, "Ada Lovelace")
    sign_in(alan, grader, "Alan Turing")
    sign_in_staff(staff, grader)

    ada.goto(grader.url + "project")
    ada.get_by_role("button", name="Form a group").click()
    ada.get_by_label("Their e-mail address").fill("alan@example.org")
    ada.get_by_role("button", name="Invite").click()
    found += violations(ada, "project forming")
    alan.goto(grader.url + "project")
    found += violations(alan, "project invitation")
    alan.get_by_role("button", name="Accept").click()
    ada.reload()
    ada.get_by_label("Title").fill("Sparse tensors")
    ada.get_by_label(re.compile("What will you build")).fill("A sparse matrix product, measured.")
    ada.get_by_role("button", name="Hand in the proposal").click()
    expect(ada.get_by_text("proposed: staff will answer")).to_be_visible()

    staff.goto(grader.url + "staff")
    staff.get_by_role("link", name="Sparse tensors").click()
    found += violations(staff, "staff proposal")
    staff.get_by_label("Feedback").fill("Go ahead.")
    staff.get_by_role("button", name="Accept").click()
    alan.reload()
    alan.get_by_label(re.compile("Address of the repository")).fill("https://example.org/sparse")
    alan.get_by_role("button", name="Hand in").click()
    staff.goto(grader.url + "staff/projects")
    staff.get_by_role("link", name="Sparse tensors").click()
    found += violations(staff, "staff project to grade")
    staff.get_by_label(re.compile("Idea")).fill("35")
    staff.get_by_label(re.compile("Evidence")).fill("50,5")
    staff.get_by_role("button", name="Grade").click()
    expect(staff.locator("dl")).to_contain_text("85.5")

    ada.goto(grader.url + "certificate")
    ada.get_by_role("button", name=re.compile("Issue my certificate")).click()
    expect(ada.get_by_role("region", name="Certificate")).to_contain_text("Ada Lovelace")
    assert (
        ada.locator("svg.qr[viewBox]").count() == 1
    )  # without, the style sheet's size would cut it
    found += violations(ada, "certificate")
    alan.reload()
    found += violations(alan, "project graded")
    address = ada.locator(".paper code").inner_text()
    answer = stranger.goto(address)
    assert answer is not None and answer.status == 200
    expect(stranger.get_by_role("heading", name="This certificate is genuine")).to_be_visible()
    expect(stranger.get_by_text("Ada Lovelace")).to_be_visible()
    assert "ada@example.org" not in stranger.content()
    found += violations(stranger, "certificate verified")
    stranger.goto(address[:-4] + "0000")
    expect(stranger.get_by_role("heading", name="No such certificate")).to_be_visible()
    assert not found, "\n".join(found)
    for page in (ada, alan, staff, stranger):
        page.context.close()


def test_the_leaderboard_lists_only_those_who_chose_a_name(page: Page, grader: SimpleNamespace):
    api = Grader(Connection(grader.url, grader.keys["Ada Lovelace"]))
    api.call(
        "POST", "assignments/hw0/problems/norm/timing", json={"seconds": 0.5, "device": "laptop"}
    )
    page.goto(grader.url + "leaderboard/deep/hw0/norm")
    expect(page.get_by_text("Nobody yet")).to_be_visible()
    sign_in(page, grader, "Ada Lovelace")
    page.goto(grader.url + "data")
    page.get_by_label(re.compile("Name on the leaderboard")).fill("Countess")
    page.get_by_role("button", name="Save").click()
    page.goto(grader.url + "leaderboard/deep/hw0/norm")
    expect(page.get_by_role("row", name=re.compile("Countess"))).to_contain_text("0.5")
    expect(page.get_by_text("self-reported")).to_be_visible()


def test_a_key_is_revoked_on_the_page(either: Page, grader: SimpleNamespace):
    sign_in(either, grader, "Ada Lovelace")
    either.goto(grader.url + "keys")
    either.get_by_role("button", name=re.compile("Revoke test")).click()
    expect(either.get_by_role("status")).to_contain_text("revoked")
    with pytest.raises(Exception, match="does not know this key"):
        Grader(Connection(grader.url, grader.keys["Ada Lovelace"])).me()


def test_a_password_change_signs_other_browsers_out(chromium, grader: SimpleNamespace):
    here, there = (chromium.new_context().new_page() for _ in range(2))
    for page in (here, there):
        sign_in(page, grader, "Ada Lovelace")
    here.goto(grader.url + "keys")
    here.get_by_label("Old password").fill(PASSWORD)
    here.get_by_label("New password").fill(PASSWORD + " staple")
    here.get_by_role("button", name="Change the password").click()
    expect(here.get_by_role("status")).to_contain_text("changed")
    there.goto(grader.url + "dashboard")
    expect(there).to_have_url(re.compile("/login"))
    for page in (here, there):
        page.context.close()


def test_after_sign_in_the_page_asked_for_comes(either: Page, school: SimpleNamespace):
    either.goto(school.url + "homework/hw0/norm")
    either.get_by_label("E-mail address").fill(email("Ada Lovelace"))
    either.get_by_label("Password").fill(PASSWORD)
    either.get_by_role("button", name="Sign in").click()
    expect(either).to_have_url(school.url + "homework/hw0/norm")
    either.get_by_role("button", name="Sign out").click()
    expect(either.get_by_role("heading", name="mugrade")).to_be_visible()


def test_nothing_is_asked_from_another_host(page: Page, school: SimpleNamespace):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    sign_in(page, school, "Ada Lovelace")
    page.goto(school.url + "certificate")
    assert asked and all(url.startswith((school.url, "data:")) for url in asked)


def test_signing_up_twice_is_refused(page: Page, school: SimpleNamespace):
    page.goto(f"{school.url}signup?code={school.code}")
    page.get_by_label("Name").fill("Ada Lovelace")
    page.get_by_label("E-mail address").fill(email("Ada Lovelace"))
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("alert")).to_contain_text("sign in instead")
