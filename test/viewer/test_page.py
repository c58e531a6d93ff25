# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The page, looked at in a real browser."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.data.v2x_real import CLASSES
from quantv2x_ros.viewer.page import Page, ViewerError
from quantv2x_ros.viewer.palette import AGENT_COLOURS, class_colour
from quantv2x_ros.viewer.state import Beacon, SeenObjects, ViewerState

EXTENT = (-25.6, -25.6, 25.6, 25.6)


@pytest.fixture
def page():
    """A page on any free port."""
    page = Page("127.0.0.1", 0)
    yield page
    page.close()


def scene_of(folder, stations=(1, 2)):
    """A real scenario's first frame as if it had been heard at 0 s."""
    scene = ViewerState(max_points=5000, lifetime=1.0)
    frame = Scenario.open(folder).frame("000000")
    for station in stations:
        agent = frame.agents[str(station)]
        scene.hear_station(Beacon(station, 0, f"{station}", agent.pose, EXTENT), 1, 1234, 0.0)
        scene.hear_cloud(f"{station}", agent.points, 0.0)
    boxes, labels, _ = frame.truth("1", ["1", "2"])
    names = [CLASSES[int(label) - 1] for label in labels]
    scene.hear_objects(SeenObjects(0, "1", boxes, names, stations), 0.0)
    scene.hear_diagnostics((91.0, 99.0), {})
    return scene


def near(picture, colour):
    """Count the pixels of the scene whose colour is mainly that of a class."""
    scene = picture[:, :900].astype(float)
    wanted = np.asarray(colour, float) / np.linalg.norm(colour)
    bright = np.linalg.norm(scene, axis=2)
    alike = scene @ wanted / np.maximum(bright, 1.0)
    return int(((alike > 0.97) & (bright > 120)).sum())


def test_a_browser_shows_scene_and_numbers_and_forgets_what_is_gone(page, browser, scenario_folder):
    assert page.visitors == 0
    browser.open(page.url)
    browser.wait_until(lambda: page.visitors == 1)
    view = scene_of(scenario_folder).view(0.5)
    page.show(view)
    browser.wait_until(lambda: "1,234" in browser.text())
    text = browser.text()
    assert "91 ms" in text
    assert "● 2\t1,234\t" in text
    colour = class_colour("vehicle")
    browser.wait_until(lambda: near(browser.picture(), colour) > 200)
    page.show(scene_of(scenario_folder, stations=(1,)).view(0.5))
    browser.wait_until(lambda: "● 2\t" not in browser.text())
    page.show(scene_of(scenario_folder).view(5.0))
    browser.wait_until(lambda: "Waiting" in browser.text())
    browser.wait_until(lambda: near(browser.picture(), colour) < 20)
    assert near(browser.picture(), AGENT_COLOURS[1]) < 20, "the peer's cloud and link are gone"
    outside = [
        url for url in browser.requested() if not url.startswith((page.url, "data:", "blob:"))
    ]
    assert outside == [], "the page needs the network"


def test_only_this_machine_reaches_it_unless_told_otherwise(page):
    assert page.is_local
    port = int(page.url.rsplit(":", 1)[1])
    address = socket.gethostbyname(socket.gethostname())
    if address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, port), timeout=2)


def test_a_taken_port_is_named(page):
    port = int(page.url.rsplit(":", 1)[1])
    with pytest.raises(ViewerError, match=rf"127\.0\.0\.1:{port} \(Address already in use\)"):
        Page("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(ViewerError, match=r"192\.0\.2\.1:8080"):
        Page("192.0.2.1", 8080)
