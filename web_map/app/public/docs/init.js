// Starts Swagger UI on this server's own OpenAPI document; no validator of another host is asked.
window.ui = SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  validatorUrl: null,
});
