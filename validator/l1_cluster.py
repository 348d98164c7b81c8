"""What a cluster of one node answers about itself, as wallets and the Solana tools ask: epochs, leaders."""

from __future__ import annotations

from solders.hash import Hash
from solders.keypair import Keypair

from validator.l1_json import Json, RpcError

VERSION = {"solana-core": "2.2.0", "feature-set": 1}
GENESIS = str(Hash.hash(b"awm-kit development L1"))
EPOCH_SLOTS = 432_000
MAX_LEADERS = 5_000  # of one getSlotLeaders
# Nobody ever signs with it; a node has an identity.
IDENTITY = str(Keypair.from_seed(bytes(Hash.hash(b"awm-kit development L1's node"))).pubkey())


class ClusterMethods:
    """Mixed into `l1_chain.Chain`, which has the slot and the transactions."""

    slot: int
    transactions: dict[str, Json]
    port = 0

    def with_context(self, value: Json) -> Json:
        """A value as state of the current slot."""
        return {"context": {"slot": self.slot, "apiVersion": VERSION["solana-core"]}, "value": value}

    def rpc_getHealth(self) -> Json:
        return "ok"

    def rpc_getVersion(self) -> Json:
        return VERSION

    def rpc_getIdentity(self) -> Json:
        return {"identity": IDENTITY}

    def rpc_getGenesisHash(self) -> Json:
        return GENESIS

    def rpc_getSlot(self, config: Json = None) -> Json:
        return self.slot

    rpc_getBlockHeight = rpc_getSlot

    def rpc_minimumLedgerSlot(self) -> Json:
        return 0

    rpc_getFirstAvailableBlock = rpc_minimumLedgerSlot

    def rpc_getTransactionCount(self, config: Json = None) -> Json:
        return len(self.transactions)

    def rpc_getEpochInfo(self, config: Json = None) -> Json:
        epoch, index = divmod(self.slot, EPOCH_SLOTS)
        place = {"absoluteSlot": self.slot, "blockHeight": self.slot, "epoch": epoch, "slotIndex": index}
        return place | {"slotsInEpoch": EPOCH_SLOTS, "transactionCount": len(self.transactions)}

    def rpc_getEpochSchedule(self) -> Json:
        slots = {"slotsPerEpoch": EPOCH_SLOTS, "leaderScheduleSlotOffset": EPOCH_SLOTS}
        return slots | {"warmup": False, "firstNormalEpoch": 0, "firstNormalSlot": 0}

    def rpc_getSlotLeader(self, config: Json = None) -> Json:
        return IDENTITY

    def rpc_getSlotLeaders(self, start: int, limit: int) -> Json:
        if not 1 <= limit <= MAX_LEADERS:
            raise RpcError(-32602, f"Invalid limit; max {MAX_LEADERS}")
        return [IDENTITY] * limit

    def rpc_getLeaderSchedule(self, slot: Json = None, config: Json = None) -> Json:
        return {IDENTITY: list(range(EPOCH_SLOTS))}

    def rpc_getClusterNodes(self) -> Json:
        ports = {"gossip": None, "tpu": None, "tpuQuic": None, "rpc": f"127.0.0.1:{self.port}"}
        version = {"version": VERSION["solana-core"], "featureSet": VERSION["feature-set"], "shredVersion": 0}
        return [{"pubkey": IDENTITY, **ports, "pubsub": f"127.0.0.1:{self.port + 1}", **version}]

    def rpc_getVoteAccounts(self, config: Json = None) -> Json:
        return {"current": [], "delinquent": []}

    def rpc_getRecentPrioritizationFees(self, keys: Json = None) -> Json:
        return [{"slot": self.slot, "prioritizationFee": 0}]

    def rpc_getRecentPerformanceSamples(self, limit: int = 720) -> Json:
        return []

    def rpc_getInflationGovernor(self, config: Json = None) -> Json:
        return dict.fromkeys(("initial", "terminal", "taper", "foundation", "foundationTerm"), 0.0)

    def rpc_getInflationRate(self) -> Json:
        rates = dict.fromkeys(("total", "validator", "foundation"), 0.0)
        return {**rates, "epoch": self.slot // EPOCH_SLOTS}

    def rpc_getBlockProduction(self, config: Json = None) -> Json:
        first = self.slot // EPOCH_SLOTS * EPOCH_SLOTS
        count = self.slot - first + 1
        reach = {"firstSlot": first, "lastSlot": self.slot}
        return self.with_context({"byIdentity": {IDENTITY: [count, count]}, "range": reach})

    def rpc_getStakeMinimumDelegation(self, config: Json = None) -> Json:
        return self.with_context(1_000_000_000)
