/* SPDX-License-Identifier: BSD-3-Clause */
/* Each way to end in words. */
#include "controlplane/bus_close.h"

#include <stdio.h>
#include <string.h>

const char *bus_close_text(const struct bus_close *close, char text[BUS_CLOSE_TEXT_SIZE])
{
	switch (close->kind) {
	case BUS_CLOSE_UNREACHABLE:
		snprintf(text, BUS_CLOSE_TEXT_SIZE, "not reached: %s", strerror(close->error));
		break;
	case BUS_CLOSE_BY_PEER:
		snprintf(text, BUS_CLOSE_TEXT_SIZE, "closed by the other side%s%s",
			 close->error ? ": " : "", close->error ? strerror(close->error) : "");
		break;
	case BUS_CLOSE_TIMEOUT:
		snprintf(text, BUS_CLOSE_TEXT_SIZE, "no answer within %u ms", BUS_HANDSHAKE_MS);
		break;
	case BUS_CLOSE_REFUSED:
		snprintf(text, BUS_CLOSE_TEXT_SIZE, "refused (%s): %s",
			 bus_refusal_name(close->refusal), close->detail);
		break;
	case BUS_CLOSE_UNTRUSTED:
		snprintf(text, BUS_CLOSE_TEXT_SIZE, "not understood (%s): %s",
			 bus_result_name(close->result), bus_result_advice(close->result));
		break;
	case BUS_CLOSE_MALFORMED:
		snprintf(text, BUS_CLOSE_TEXT_SIZE,
			 "its answer makes no sense: is it of another version?");
		break;
	case BUS_CLOSE_NO_MEMORY:
		snprintf(text, BUS_CLOSE_TEXT_SIZE, "out of memory");
		break;
	}
	return text;
}
