/*
 * The world program's accounts, instructions and error codes. ACCOUNTS.md says the same in prose and
 * awm_kit/chain/idl.json for machines; tests/test_program.py compares all three.
 */
#ifndef WORLD_MODEL_H
#define WORLD_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "solana.h"

#define WM_VERSION 1
#define WM_MAGIC(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

#define WM_MAGIC_MANIFEST WM_MAGIC('A', 'W', 'M', 'M')
#define WM_MAGIC_SHARD WM_MAGIC('A', 'W', 'M', 'W')
#define WM_MAGIC_SESSION WM_MAGIC('A', 'W', 'M', 'S')
#define WM_MAGIC_INPUT WM_MAGIC('A', 'W', 'M', 'I')
#define WM_MAGIC_HIDDEN WM_MAGIC('A', 'W', 'M', 'H')
#define WM_MAGIC_LOG WM_MAGIC('A', 'W', 'M', 'L')
#define WM_MAGIC_RESULT WM_MAGIC('A', 'W', 'M', 'R')
#define WM_MAGIC_REPLAY WM_MAGIC('A', 'W', 'M', 'P')

#define WM_CHAIN_DOMAIN "awm-chain-1"
#define WM_PHYSICAL_BYTES 8    /* of a controller: all but its sequence number */
#define WM_MAX_GROWTH 10240    /* bytes that the runtime lets one instruction add to an account */
#define WM_MAX_LOG_KIB 64
#define WM_KEEP_CHARACTER 255
/* A player who lets this many frames begin without an input has left: ten seconds of play. In frames, because a crank or
 * a cluster that stands still must not make anybody lose. Clients repeat a held input every WM_FORFEIT_FRAMES / 5. */
#define WM_FORFEIT_FRAMES 600
/* A crank that begins no frame for so long has left. */
#define WM_ABANDON_SECONDS 60

/* The frame record, as far as the program reads it; awm_kit/schema.py defines it. */
struct wm_player {
    uint8_t motion[18];
    uint16_t percent; /* Q6 */
    uint8_t action[7];
    uint8_t stocks;
    uint8_t pose[3];
    uint8_t character;
};

struct wm_frame {
    uint32_t frame;
    uint8_t stage;
    uint8_t status; /* 0 playing, 1 decided, 2 timeout */
    uint8_t padding[2];
    uint32_t time_limit;
    uint32_t seed;
    struct wm_player players[2];
};

struct wm_controller {
    uint8_t physical[WM_PHYSICAL_BYTES];
    uint32_t sequence;
};

enum wm_content_state { WM_WRITING = 1, WM_FROZEN = 2 };

/* Header of a ModelManifest or a WeightShard, whose content is byte for byte the cartridge's, or of a Replay, whose content
 * is frame 0 and the input log's entries. */
struct wm_content {
    uint32_t magic;
    uint8_t version;
    uint8_t state;
    uint16_t index; /* of a shard */
    uint64_t content_len;
    struct sol_key authority;
    struct sol_key sha256; /* of the content, set when frozen */
    struct sol_key link;   /* shard: its manifest account; manifest: the parent world's, or zeros; replay: its result */
    uint8_t reserved[16];
};

enum wm_phase { WM_CREATED = 1, WM_JOINED = 2, WM_ACTIVE = 3, WM_ENDED = 4 };
enum wm_winner { WM_DRAW = 2, WM_NONE_YET = 255 };

/* PDA ["session", host wallet, session_id]. */
struct wm_session {
    uint32_t magic;
    uint8_t version;
    uint8_t phase;
    uint8_t ready; /* bit p: player p */
    uint8_t winner;
    uint64_t session_id;
    struct sol_key session_keys[2];
    struct sol_key world;     /* manifest account */
    struct sol_key authority; /* the crank */
    struct sol_key chain;     /* hash over all frames and inputs so far */
    struct wm_frame frame;
};

/* PDA ["input", session]. */
struct wm_input {
    struct wm_controller controllers[2];
    uint32_t magic;
    uint8_t bump;
    uint8_t reserved[3];
};

enum wm_hidden_state { WM_GROWING = 1, WM_HIDDEN_READY = 2, WM_HIDDEN_ENDED = 3 };

/* PDA ["hidden", session]: header, then state_bytes of recurrent state, then scratch_bytes. */
struct wm_hidden {
    uint32_t magic;
    uint8_t version;
    uint8_t state;
    uint16_t next_op; /* the cursor: where on the tape the frame goes on */
    uint32_t state_bytes;
    uint32_t scratch_bytes;
    uint64_t last_slot; /* in which the last frame began */
    struct wm_controller inputs[2]; /* latched when the frame began */
    struct sol_key wallets[2];
    struct sol_key state_hash; /* of frame record and state, set at the end; zeros if it came in mid-frame */
    struct sol_key log_hash;   /* of frame 0 and the log's entries, set at the end */
    uint8_t reason;
    uint8_t bump;
    uint16_t silent[2]; /* frames in a row that began without a new input of that player */
    uint8_t reserved[2];
    uint32_t licence;   /* frames up to this number may be run by anybody (WM_RUN_NEXT) */
    uint32_t last_time; /* unix seconds when the last frame began, at first the match */
    struct sol_key session;
    struct sol_key world_hash; /* the manifest's SHA-256 when the match began */
};

enum wm_log_flags { WM_LOG_CUT = 1 }; /* the entries stayed in the rollup; WM_RESTORE_LOG brings them */

/* PDA ["log", session]: header, then entries (see input_log.c). From `start` on it is the replay. */
struct wm_log {
    uint32_t magic;
    uint8_t version;
    uint8_t flags;
    uint8_t bump;
    uint8_t padding;
    uint32_t used;
    uint32_t capacity;
    uint8_t controllers[2][WM_PHYSICAL_BYTES]; /* last logged */
    uint32_t frames[2];                          /* of each player's last entry */
    uint8_t reserved[24];
    struct wm_frame start; /* frame 0, set when frame 1 begins */
};

enum wm_reason {
    WM_REASON_DECIDED = 1,
    WM_REASON_TIMEOUT = 2,
    WM_REASON_QUIT = 3, /* + player */
    WM_REASON_LOG_FULL = 5,
    WM_REASON_STOPPED = 6,
    WM_REASON_VANISHED = 7, /* + player */
    WM_REASON_ABANDONED = 9,
};

/* PDA ["result", session]: permanent. */
struct wm_result {
    uint32_t magic;
    uint8_t version;
    uint8_t winner;
    uint8_t reason;
    uint8_t padding;
    uint64_t session_id;
    uint32_t frames;
    uint32_t seed;
    int64_t time; /* unix seconds */
    struct sol_key world;
    struct sol_key wallets[2];
    struct sol_key chain;
    struct sol_key state_hash;
    struct sol_key log_hash;
    uint8_t stocks[2];
    uint8_t characters[2];
    uint16_t percent[2]; /* Q6 */
    uint32_t log_len;
    uint8_t stage;
    uint8_t reserved[19];
};

_Static_assert(sizeof(struct wm_player) == 32 && offsetof(struct wm_player, percent) == 18 &&
                   offsetof(struct wm_player, stocks) == 27 && offsetof(struct wm_player, character) == 31,
               "player layout");
_Static_assert(sizeof(struct wm_frame) == 80, "frame size");
_Static_assert(sizeof(struct wm_controller) == 12, "controller size");
_Static_assert(sizeof(struct wm_content) == 128, "content header size");
_Static_assert(sizeof(struct wm_session) == 256, "session size");
_Static_assert(sizeof(struct wm_input) == 32, "input buffer size");
_Static_assert(sizeof(struct wm_hidden) == 256, "hidden header size");
_Static_assert(sizeof(struct wm_log) == 144 && offsetof(struct wm_log, start) == 64, "log header size");
_Static_assert(sizeof(struct wm_result) == 256, "result size");

/*
 * Instruction data is this tag and then the arguments, packed. Accounts in order, w writable, s signer.
 */
enum wm_instruction {
    /* content_len u64, parent key | manifest w, authority s */
    WM_INIT_MANIFEST = 0,
    /* content_len u64, index u16 | shard w, manifest, authority s */
    WM_INIT_SHARD = 1,
    /* offset u32, bytes | manifest, shard or replay w, authority s */
    WM_WRITE = 2,
    /* sha256 | shard w, manifest, authority s */
    WM_FINALISE_SHARD = 3,
    /* sha256 | manifest w, authority s, every shard in order */
    WM_FINALISE_MANIFEST = 4,
    /* | manifest, shard or replay w, authority s, recipient w */
    WM_RETIRE = 5,
    /* content_len u64 | replay w, result, authority s */
    WM_INIT_REPLAY = 6,
    /* | replay w, result, authority s */
    WM_FINALISE_REPLAY = 7,
    /* session_id u64, seed u32, time_limit u32, stage u8, log_kib u8, crank key, session key, frame[80]
     * | host ws, session w, input w, hidden w, log w, result, manifest, system program */
    WM_CREATE_SESSION = 10,
    /* | payer ws, session, hidden or log w, manifest, system program */
    WM_GROW = 11,
    /* session key, character u8 | wallet s, session w, hidden w */
    WM_JOIN = 12,
    /* player u8 | session key s, session w, hidden w, manifest */
    WM_READY = 13,
    /* player u8, controller[12] | session key s, session, input w */
    WM_SUBMIT_INPUT = 14,
    /* frame u32, begin u16, end u16 (ops) | crank s, session w, input, hidden w, log w, manifest, these ops' shards */
    WM_RUN_INFERENCE = 15,
    /* player u8, character u8 | session key s, session w */
    WM_PICK_CHARACTER = 16,
    /* | crank or session key s, session w, hidden w, log */
    WM_END_SESSION = 17,
    /* | payer ws, result w, session, hidden, log, manifest, system program */
    WM_RECORD_RESULT = 18,
    /* | host ws, session w, input w, hidden w, log w, result */
    WM_CLOSE_SESSION = 19,
    /* player u8 | crank, session key or wallet of the other s, session w, hidden w, log */
    WM_CLAIM_FORFEIT = 20,
    /* | session key or wallet of a player s, session w, hidden w, log */
    WM_CLAIM_ABANDONED = 21,
    /* player u8, session key | wallet s, session w, hidden */
    WM_RENEW_KEY = 22,
    /* frame u32 | crank s, session, hidden w */
    WM_LICENSE = 23,
    /* | crank, session w, input, hidden w, log w, manifest, at least the segment's shards */
    WM_RUN_NEXT = 24,
    /* validator key | host ws, session w, input w, hidden w, log w, this program, system program, delegation program,
     * and of each of the four: buffer w, delegation record w, delegation metadata w */
    WM_DELEGATE = 30,
    /* in the rollup | crank or session key ws, session, session or input w, MagicContext w, Magic program */
    WM_COMMIT = 31,
    /* in the rollup | crank or session key ws, session, any of the match's w, MagicContext w, Magic program */
    WM_UNDELEGATE = 32,
    /* offset u32, bytes | wallet of a player s, session, hidden, log w */
    WM_RESTORE_LOG = 33,
};

/* How the delegation program calls back: these eight bytes, then the address's seeds as borsh Vec<Vec<u8>>
 * | account w, buffer s, payer ws, system program */
#define WM_UNDELEGATED 0xa7332530ce291cc4ULL

/* One code per check. Codes from WM_KERNEL on are the kernel's own refusals of a world (enum in awm.h). */
enum wm_error {
    WM_UNKNOWN_INSTRUCTION = 6000,
    WM_INSTRUCTION_DATA = 6001,
    WM_ACCOUNTS_MISSING = 6002,
    WM_TOO_MANY_ACCOUNTS = 6003,
    WM_SIGNATURE_MISSING = 6004,
    WM_NOT_WRITABLE = 6005,
    WM_WRONG_OWNER = 6006,
    WM_WRONG_SYSTEM_PROGRAM = 6007,
    WM_ADDRESS_IN_USE = 6008,
    WM_NOT_MANIFEST = 6020,
    WM_NOT_SHARD = 6021,
    WM_NOT_CONTENT = 6022,
    WM_HEADER_NOT_ZERO = 6023,
    WM_CONTENT_LENGTH = 6024,
    WM_WRONG_AUTHORITY = 6025,
    WM_ALREADY_FROZEN = 6026,
    WM_MANIFEST_NOT_FROZEN = 6027,
    WM_SHARD_NOT_FROZEN = 6028,
    WM_WRITE_OUT_OF_BOUNDS = 6029,
    WM_HASH_MISMATCH = 6030,
    WM_SHARD_OF_OTHER_WORLD = 6031,
    WM_SHARD_INDEX = 6032,
    WM_SHARD_COUNT = 6033,
    WM_SHARD_LENGTH = 6034,
    WM_SHARD_HASH = 6035,
    WM_SHARD_MISSING = 6036,
    WM_SAME_RECIPIENT = 6037,
    WM_NOT_REPLAY = 6038,
    WM_NOT_RESULT = 6039,
    WM_REPLAY_OF_OTHER_MATCH = 6040,
    WM_NOT_SESSION = 6050,
    WM_NOT_INPUT_BUFFER = 6051,
    WM_NOT_HIDDEN_STATE = 6052,
    WM_NOT_INPUT_LOG = 6053,
    WM_WRONG_SESSION_ADDRESS = 6054,
    WM_WRONG_INPUT_BUFFER = 6055,
    WM_WRONG_HIDDEN_STATE = 6056,
    WM_WRONG_INPUT_LOG = 6057,
    WM_WRONG_RESULT = 6058,
    WM_WRONG_WORLD = 6059,
    WM_INITIAL_FRAME = 6070,
    WM_INITIAL_SETTINGS = 6071,
    WM_LOG_SIZE = 6072,
    WM_PLAYER_INDEX = 6073,
    WM_NOT_OPEN = 6074,
    WM_NOT_JOINED = 6075,
    WM_ALREADY_BEGAN = 6076,
    WM_NOT_ACTIVE = 6077,
    WM_NOT_ENDED = 6078,
    WM_ALREADY_READY = 6079,
    WM_WRONG_SESSION_KEY = 6080,
    WM_HIDDEN_NOT_READY = 6081,
    WM_FULLY_GROWN = 6082,
    WM_NOT_GROWABLE = 6083,
    WM_NOT_HOST = 6084,
    WM_STILL_PLAYING = 6085,
    WM_NOT_RECORDED = 6086,
    WM_NUMBER_USED = 6087,
    WM_OLD_SEQUENCE = 6100,
    WM_WRONG_CRANK = 6101,
    WM_WORLD_CHANGED = 6102,
    WM_WRONG_FRAME = 6103,
    WM_WRONG_SEGMENT = 6104,
    WM_TOO_EARLY = 6105,
    WM_MATCH_DECIDED = 6106,
    WM_LOG_FULL = 6107,
    WM_MAY_NOT_END = 6108,
    WM_NOT_SILENT = 6109,
    WM_BOTH_SILENT = 6110,
    WM_MAY_NOT_CLAIM = 6111,
    WM_CRANK_ACTIVE = 6112,
    WM_WRONG_WALLET = 6113,
    WM_NO_LICENCE = 6114,
    WM_WRONG_DELEGATION_PROGRAM = 6120,
    WM_WRONG_MAGIC_PROGRAM = 6121,
    WM_NOT_THIS_PROGRAM = 6122,
    WM_WRONG_BUFFER = 6123,
    WM_WRONG_UNDELEGATION_BUFFER = 6124,
    WM_WRONG_DELEGATED_ADDRESS = 6125,
    WM_GROWN_TOO_EARLY = 6126,
    WM_MAY_NOT_SETTLE = 6127,
    WM_NOT_A_PLAYER = 6128,
    WM_LOG_NOT_CUT = 6129,
    WM_NOT_AS_LENT = 6130,
    WM_KERNEL = 6200,
};

/* Accounts and data of the instruction being run. */
struct wm_call {
    struct sol_account *accounts;
    uint64_t n_accounts;
    const uint8_t *data; /* with the tag */
    uint64_t data_len;
    const struct sol_key *program_id;
};

uint64_t wm_init_manifest(const struct wm_call *call);
uint64_t wm_init_shard(const struct wm_call *call);
uint64_t wm_write(const struct wm_call *call);
uint64_t wm_finalise_shard(const struct wm_call *call);
uint64_t wm_finalise_manifest(const struct wm_call *call);
uint64_t wm_retire(const struct wm_call *call);
uint64_t wm_init_replay(const struct wm_call *call);
uint64_t wm_finalise_replay(const struct wm_call *call);
uint64_t wm_create_session(const struct wm_call *call);
uint64_t wm_grow(const struct wm_call *call);
uint64_t wm_join(const struct wm_call *call);
uint64_t wm_ready(const struct wm_call *call);
uint64_t wm_submit_input(const struct wm_call *call);
uint64_t wm_run_inference(const struct wm_call *call);
uint64_t wm_pick_character(const struct wm_call *call);
uint64_t wm_end_session(const struct wm_call *call);
uint64_t wm_record_result(const struct wm_call *call);
uint64_t wm_close_session(const struct wm_call *call);
uint64_t wm_claim_forfeit(const struct wm_call *call);
uint64_t wm_claim_abandoned(const struct wm_call *call);
uint64_t wm_renew_key(const struct wm_call *call);
uint64_t wm_license(const struct wm_call *call);
uint64_t wm_run_next(const struct wm_call *call);
uint64_t wm_delegate(const struct wm_call *call);
uint64_t wm_commit(const struct wm_call *call);
uint64_t wm_undelegate(const struct wm_call *call);
uint64_t wm_undelegated(const struct wm_call *call);
uint64_t wm_restore_log(const struct wm_call *call);

#endif
