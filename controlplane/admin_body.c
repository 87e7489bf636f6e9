/* SPDX-License-Identifier: BSD-3-Clause */
/* jansson's unpacking knows types and left-overs. */
#include "controlplane/admin_body.h"

#include <stdarg.h>

bool admin_body_read(const struct admin_request *request, struct admin_reply *reply,
		     const char *expected, const char *format, ...)
{
	json_t *body =
		request->body ? json_incref((json_t *)(uintptr_t)request->body) : json_object();
	json_error_t error;
	va_list arguments;
	int result;

	va_start(arguments, format);
	result = json_vunpack_ex(body, &error, 0, format, arguments);
	va_end(arguments);
	json_decref(body);
	if (result != 0)
		admin_reply_error(reply, 400, "expected %s", expected);
	return result == 0;
}
