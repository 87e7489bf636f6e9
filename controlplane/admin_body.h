/* SPDX-License-Identifier: BSD-3-Clause */
/* What an operator's request says, read strictly: a member that is misspelt must not be taken for one that is missing. */
#ifndef CONTROLPLANE_ADMIN_BODY_H
#define CONTROLPLANE_ADMIN_BODY_H

#include <stdbool.h>

#include "controlplane/admin_http.h"

/* Reads members of the request's body into variables, as json_unpack() does with 'format', which ends in '!' to refuse others.
 * No body is an empty object. Strings are the body's. False after making the reply: 400, with what was 'expected'; variables may have
 * changed then.
 */
bool admin_body_read(const struct admin_request *request, struct admin_reply *reply,
		     const char *expected, const char *format, ...);

#endif
