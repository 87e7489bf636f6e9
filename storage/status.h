/* SPDX-License-Identifier: BSD-3-Clause */
/* The outcomes of an operation on stored items: a closed set, answered to the client. */
#ifndef STORAGE_STATUS_H
#define STORAGE_STATUS_H

/* The numbers are those of enum wire_status (dataplane/wire_format.h); request_execute.c asserts
 * it.
 */
enum status {
	STATUS_OK = 0,
	STATUS_NOT_FOUND = 1,
	STATUS_EXISTS = 2,           /* ADD: the key is present */
	STATUS_VERSION_MISMATCH = 3, /* CAS: the item has another version */
	STATUS_NOT_A_NUMBER = 4, /* INCREMENT: not a decimal 64-bit number, or it would overflow */
	STATUS_TOO_LARGE = 5,    /* key or value over its limit */
	STATUS_NO_SPACE = 6,     /* memory limit reached; nothing changed */
	STATUS_RETRY = 10,       /* memory or a larger index is on its way; nothing changed, soon it can be */
};

#endif
