/* SPDX-License-Identifier: BSD-3-Clause */
/* Statuses in words. */
#include "dataplane/client/godwit.h"

const char *godwit_version(void)
{
	return GODWIT_VERSION;
}

const char *godwit_status_text(enum godwit_status status)
{
	switch (status) {
	case GODWIT_OK:
		return "ok";
	case GODWIT_NOT_FOUND:
		return "not found";
	case GODWIT_EXISTS_ALREADY:
		return "exists already";
	case GODWIT_VERSION_MISMATCH:
		return "the item has another version";
	case GODWIT_NOT_A_NUMBER:
		return "the value is not a number, or the sum overflows";
	case GODWIT_TOO_LARGE:
		return "the value is too large";
	case GODWIT_NO_SPACE:
		return "the server's memory is full";
	case GODWIT_BAD_REQUEST:
		return "the server could not parse the request";
	case GODWIT_UNSUPPORTED:
		return "the server does not support this operation";
	case GODWIT_NOT_OWNER:
		return "no node was found that owns the key";
	case GODWIT_RETRY:
		return "the server asked to wait until the time was over";
	case GODWIT_UNAVAILABLE:
		return "no node may serve the key at present";
	case GODWIT_UNKNOWN:
		return "outcome unknown: sent, but not answered";
	case GODWIT_TIMEOUT:
		return "timed out, nothing was changed";
	case GODWIT_NO_SERVER:
		return "no server answers";
	case GODWIT_INVALID_ARGUMENT:
		return "invalid argument";
	case GODWIT_NO_MEMORY:
		return "out of memory";
	case GODWIT_BUSY:
		return "too many operations are pending";
	case GODWIT_SYSTEM_ERROR:
		return "the socket could not be opened";
	case GODWIT_CLOSED:
		return "the handle was closed";
	case GODWIT_BUFFER_TOO_SMALL:
		return "the buffer is too small for the value";
	case GODWIT_VERSION_UNKNOWN:
		return "the server speaks another protocol version";
	}
	return "unknown status";
}
