"""What the site decides about channels: a .condarc in conda's own words, and credentials that users never see."""

import os
import pathlib
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from rattler import ChannelPriority, Client, Config
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from .report import BuildError

PRIORITIES = {"strict": ChannelPriority.Strict, "flexible": ChannelPriority.Strict, "disabled": ChannelPriority.Disabled,
              "true": ChannelPriority.Strict, "false": ChannelPriority.Disabled}


@dataclass
class Site:
    alias: str = "https://conda.anaconda.org"
    default_channels: list = field(default_factory=lambda: ["https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r"])
    custom_channels: dict = field(default_factory=dict)
    custom_multichannels: dict = field(default_factory=dict)
    channels: list = field(default_factory=lambda: ["conda-forge"])  # of an environment.yml that names none
    priority: object = ChannelPriority.Strict
    proxies: dict = field(default_factory=dict)
    ssl_verify: object = True
    allowed: list = field(default_factory=list)  # channels that may be used; empty: all
    denied: list = field(default_factory=list)
    credentials: str = ""  # a file of rattler's, by host

    def resolve(self, name):
        """The base URLs of a channel's name, as conda finds them. No credentials in them."""
        if name in self.custom_multichannels:
            return [url for part in self.custom_multichannels[name] for url in self.resolve(part)]
        if name == "defaults":
            return [url for part in self.default_channels for url in self.resolve(part)]
        if name.startswith("/"):
            return [pathlib.Path(name).as_uri()]
        if "://" in name:
            return [name.rstrip("/")]
        first = name.split("/", 1)[0]
        base = self.custom_channels.get(name) or self.custom_channels.get(first)
        if base:
            base = pathlib.Path(base).as_uri() if base.startswith("/") else base.rstrip("/")
            return [f"{base}/{name}"]
        return [f"{self.alias.rstrip('/')}/{name}"]

    def permits(self, name):
        urls = self.resolve(name)
        named = {url for known in self.denied for url in self.resolve(known)}
        if any(url in named for url in urls):
            return False
        allowed = {url for known in self.allowed for url in self.resolve(known)}
        return not self.allowed or all(url in allowed for url in urls)

    def permits_url(self, url):
        """Of a package in a lock that somebody brings: does it lie in a channel that may be used here?"""
        below = lambda names: any(url.startswith(f"{base}/") for name in names for base in self.resolve(name))  # noqa: E731
        return not below(self.denied) and (not self.allowed or below(self.allowed))

    def client(self, headers=None):
        config = Config()
        if self.proxies.get("http"):
            config.set("proxy-config.http", self.proxies["http"])
        if self.proxies.get("https"):
            config.set("proxy-config.https", self.proxies["https"])
        if self.ssl_verify is False:
            config.set("tls-no-verify", "true")
        elif isinstance(self.ssl_verify, str):
            os.environ["SSL_CERT_FILE"] = self.ssl_verify
            config.set("tls-root-certs", "native")  # the built-in ones know no file
        if self.credentials:
            config.set("authentication-override-file", self.credentials)
        return Client.from_config(config, headers=headers, user_agent="berth-env-builder")


def _texts(value, key):
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise BuildError(f"the site's condarc: {key} must be a list of texts", "unavailable")
    return value


def load_site(condarc="", credentials=""):
    """The site's settings; the defaults of conda without a file. A fault in it is the administrator's, so Error kind unavailable."""
    site = Site(credentials=credentials if credentials and os.path.exists(credentials) else "")
    if not condarc or not os.path.exists(condarc):
        return site
    try:
        data = YAML(typ="safe", pure=True).load(pathlib.Path(condarc)) or {}
    except YAMLError as error:
        raise BuildError(f"the site's condarc is not valid YAML: {error}", "unavailable") from None
    site.alias = data.get("channel_alias", site.alias)
    for key, attribute in (("default_channels", "default_channels"), ("channels", "channels"), ("allowlist_channels", "allowed"),
                           ("whitelist_channels", "allowed"), ("denylist_channels", "denied")):
        if key in data:
            setattr(site, attribute, _texts(data[key], key))
    site.custom_channels = dict(data.get("custom_channels") or {})
    site.custom_multichannels = {name: _texts(urls, name) for name, urls in (data.get("custom_multichannels") or {}).items()}
    site.proxies = dict(data.get("proxy_servers") or {})
    site.ssl_verify = data.get("ssl_verify", True)
    beside = pathlib.Path(condarc).with_name("ca.pem")  # in a build: the file that ssl_verify names on the machine
    if isinstance(site.ssl_verify, str) and beside.is_file():
        site.ssl_verify = str(beside)
    site.priority = PRIORITIES.get(str(data.get("channel_priority", "strict")).lower(), ChannelPriority.Strict)
    everything = [site.alias, *site.default_channels, *site.custom_channels.values(), *site.channels]
    if any(urlsplit(url).password or re.search(r"/t/[^/]+", url) for url in everything):
        raise BuildError("the site's condarc has a password or token in an URL, which every lock would show: put it into the credentials file", "unavailable")
    return site
