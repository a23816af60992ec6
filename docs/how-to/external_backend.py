#!/usr/bin/python3
"""A back end for motley that keeps accounts in one JSON file: an example to begin with.

    external_backend.py FILE

Reads one request from standard input, carries it out, writes one answer to standard output.
external-backend.md says what the requests and answers are.
"""
import fcntl
import json
import os
import sys

VERSION = 1
FIRST_UID = 30000
LIMITED_SHELL = "/sbin/nologin"


class Refusal(Exception):
    """An answer that says no."""

    def __init__(self, kind, **more):
        super().__init__(kind)
        self.words = {"kind": kind, **more}


class Accounts:
    """What the file holds. Every run has the file for itself, from the first look to the last write."""

    def __init__(self, path):
        self.path = path
        self.lock = open(path + ".lock", "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        try:
            with open(path) as file:
                state = json.load(file)
        except FileNotFoundError:
            state = {"accounts": {}, "removed": {}, "next_uid": FIRST_UID}
        self.accounts = state["accounts"]  # by name
        self.removed = state["removed"]  # names that stay with their owner
        self.next_uid = state["next_uid"]

    def save(self):
        """Either the old file or the new one is there, whatever happens."""
        state = {"accounts": self.accounts, "removed": self.removed, "next_uid": self.next_uid}
        with open(self.path + ".new", "w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(self.path + ".new", self.path)

    def of(self, identity):
        for account in self.accounts.values():
            if account["identity"] == identity:
                return account
        return None

    def owned(self, request):
        """The account that a request names; it must be of the identity that the request names."""
        account = self.accounts.get(request["name"])
        if account is None:
            raise Refusal("no_account")
        if account["identity"] != request["identity"]:
            raise Refusal("refused", why="the account is not of this identity")
        return account


def shown(account):
    """What motley is told of an account."""
    if account is None:
        return None
    state = "deployed"
    if account["locked"]:
        state = "suspended"
    elif account["shell"].endswith("/nologin"):
        state = "limited"
    known = ("identity", "name", "uid", "gid", "home", "shell")
    told = {key: account[key] for key in known}
    return {**told, "state": state, "groups": sorted(account["groups"])}


def regroup(account, wanted):
    """Joins what is wanted; leaves only what was joined here and is not wanted any more."""
    joined = [group for group in wanted if group not in account["groups"]]
    left = [group for group in account["managed"] if group not in wanted]
    account["groups"] = [group for group in account["groups"] if group not in left] + joined
    account["managed"] = [group for group in account["managed"] if group not in left] + joined
    return {"joined": joined, "left": left}


def deploy(accounts, request):
    identity, name = request["identity"], request["name"]
    own = accounts.of(identity)
    if own is not None and own["name"] != name:
        raise Refusal("has_account", name=own["name"])
    account = accounts.accounts.get(name)
    created = account is None
    if created:
        if accounts.removed.get(name, identity) != identity:
            raise Refusal("name_taken")
        account = {
            "identity": identity,
            "name": name,
            "uid": accounts.next_uid,
            "gid": accounts.next_uid,
            "home": request["home_base"] + "/" + name,
            "shell": request["shell"],
            "locked": False,
            "groups": [],
            "managed": [],
        }
        accounts.next_uid += 1
        accounts.accounts[name] = account
    elif account["identity"] != identity:
        raise Refusal("name_taken")
    changes = {"joined": [], "left": []}
    if not account["locked"]:
        account["shell"] = request["shell"]
        changes = regroup(account, request["groups"])
    return {"account": shown(account), "created": created, **changes}


def set_groups(accounts, request):
    return regroup(accounts.owned(request), request["groups"])


def set_shell(accounts, request):
    accounts.owned(request)["shell"] = request["shell"]
    return {}


def limit(accounts, request):
    accounts.owned(request)["shell"] = LIMITED_SHELL
    return {}


def suspend(accounts, request):
    accounts.owned(request)["locked"] = True
    return {}


def resume(accounts, request):
    accounts.owned(request)["locked"] = False
    return {}


def remove(accounts, request):
    account = accounts.owned(request)
    accounts.removed[account["name"]] = account["identity"]
    del accounts.accounts[account["name"]]
    return {}


def roll_back(accounts, request):
    return {}  # nothing is ever half made here


def find(accounts, request):
    return {"account": shown(accounts.of(request["identity"]))}


def by_name(accounts, request):
    return {"account": shown(accounts.accounts.get(request["name"]))}


def list_accounts(accounts, request):
    after = request["after"] or ""
    names = sorted(name for name in accounts.accounts if name > after)
    known = [name for name in names if accounts.accounts[name]["identity"] is not None]
    page = [shown(accounts.accounts[name]) for name in known[:50]]
    return {"accounts": page, "more": len(known) > 50}


def is_taken(accounts, request):
    return {"taken": request["name"] in accounts.accounts or request["name"] in accounts.removed}


def is_uid_taken(accounts, request):
    taken = any(account["uid"] == request["uid"] for account in accounts.accounts.values())
    return {"taken": taken}


def managed_groups(accounts, request):
    account = accounts.accounts.get(request["name"])
    return {"groups": account["managed"] if account else []}


def check(accounts, request):
    return {"naming": "numbered"}


LOOKING = {
    "check": check,
    "find": find,
    "by_name": by_name,
    "accounts": list_accounts,
    "is_taken": is_taken,
    "is_uid_taken": is_uid_taken,
    "managed_groups": managed_groups,
}
CHANGING = {
    "deploy": deploy,
    "set_groups": set_groups,
    "set_shell": set_shell,
    "suspend": suspend,
    "resume": resume,
    "limit": limit,
    "unlimit": set_shell,
    "remove": remove,
    "roll_back": roll_back,
}


def answer(accounts, request):
    if request.get("version") != VERSION:
        raise Refusal("refused", why="this program speaks version 1")
    operation = request["operation"]
    if operation in LOOKING:
        return LOOKING[operation](accounts, request)
    if operation in CHANGING:
        done = CHANGING[operation](accounts, request)
        accounts.save()
        return done
    raise Refusal("unsupported", why="this program does not know the operation")


def main():
    request = json.load(sys.stdin)
    try:
        words = {"done": answer(Accounts(sys.argv[1]), request)}
    except Refusal as refusal:
        words = {"error": refusal.words}
    json.dump({"version": VERSION, **words}, sys.stdout)


if __name__ == "__main__":
    main()
